-- +goose Up

-- Who did what, written in the transaction of what it records. Rows are not
-- yet in any order but that of their ids; seq is given when the row enters the
-- Merkle tree.
CREATE TABLE audit_events (
    id          TEXT PRIMARY KEY,             -- UUIDv7
    seq         BIGINT UNIQUE,                -- leaf of the tree; NULL: not in it yet
    at          BIGINT NOT NULL,              -- microseconds since the epoch, UTC
    account_id  TEXT NOT NULL,                -- '': nobody, or not known
    person_id   TEXT NOT NULL,
    position_id TEXT NOT NULL,
    agency_id   TEXT NOT NULL,
    action      TEXT NOT NULL,                -- "session.create"
    object_kind TEXT NOT NULL,
    object_id   TEXT NOT NULL,
    outcome     TEXT NOT NULL CHECK (outcome IN ('ok', 'denied', 'failed')),
    address     TEXT NOT NULL,                -- remote address
    detail      TEXT NOT NULL                 -- JSON object of strings
);
CREATE INDEX audit_events_account ON audit_events (account_id, id);
CREATE INDEX audit_events_object ON audit_events (object_kind, object_id, id);
CREATE INDEX audit_events_agency ON audit_events (agency_id, id);
