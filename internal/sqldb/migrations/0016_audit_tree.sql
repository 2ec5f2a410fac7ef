-- +goose Up

-- What is personal in an event stands beside it and can be erased when its time
-- has come: the leaf of the tree holds a salted hash of it alone.
CREATE TABLE audit_payloads (
    event_id TEXT PRIMARY KEY,
    at       BIGINT NOT NULL,                 -- of the event
    salt     BYTEA,                           -- NULL: recorded before there was a tree, sealed when it enters
    address  TEXT NOT NULL,                   -- remote address
    detail   TEXT NOT NULL                    -- JSON object of strings
);
INSERT INTO audit_payloads (event_id, at, salt, address, detail)
    SELECT id, at, NULL, address, detail FROM audit_events;
CREATE INDEX audit_payloads_address ON audit_payloads (address, at, event_id);
CREATE INDEX audit_payloads_at ON audit_payloads (at);

ALTER TABLE audit_events DROP COLUMN address;
ALTER TABLE audit_events DROP COLUMN detail;
ALTER TABLE audit_events ADD COLUMN owner_id TEXT NOT NULL DEFAULT ''; -- agency of the object, where it is not agency_id
ALTER TABLE audit_events ADD COLUMN payload_hash BYTEA;                -- NULL: as salt
ALTER TABLE audit_events ADD COLUMN leaf_hash BYTEA;                   -- likewise

-- Newest first is by at, then id; each question of the auditors' page has its
-- index. Few rows have another owner, and few were denied or failed.
DROP INDEX audit_events_account;
DROP INDEX audit_events_object;
DROP INDEX audit_events_agency;
CREATE INDEX audit_events_at ON audit_events (at, id);
CREATE INDEX audit_events_agency ON audit_events (agency_id, at, id);
CREATE INDEX audit_events_owner ON audit_events (owner_id, at, id) WHERE owner_id <> '';
CREATE INDEX audit_events_person ON audit_events (person_id, at, id);
CREATE INDEX audit_events_action ON audit_events (action, at, id);
CREATE INDEX audit_events_object ON audit_events (object_kind, object_id, at, id);
CREATE INDEX audit_events_outcome ON audit_events (outcome, at, id) WHERE outcome <> 'ok';
CREATE INDEX audit_events_unsequenced ON audit_events (id) WHERE seq IS NULL;

-- The tree of RFC 6962 as golang.org/x/mod/sumdb/tlog stores it: the leaves'
-- hashes and those of complete subtrees, by stored hash index.
CREATE TABLE audit_hashes (
    idx  BIGINT PRIMARY KEY,
    hash BYTEA NOT NULL                       -- 32 bytes
);

-- Signed heads of the tree.
CREATE TABLE audit_checkpoints (
    size BIGINT PRIMARY KEY,
    at   BIGINT NOT NULL,
    note TEXT   NOT NULL
);

-- The one who appends. Every append renews the row and checks the epoch in its
-- own transaction, so that two never append both.
CREATE TABLE audit_sequencer (
    id         BIGINT PRIMARY KEY CHECK (id = 1),
    owner      TEXT   NOT NULL,               -- '': nobody
    epoch      BIGINT NOT NULL,               -- rises with every change of owner
    expires_at BIGINT NOT NULL,
    size       BIGINT NOT NULL,               -- leaves in the tree
    forwarded  BIGINT                         -- leaves sent to syslog; NULL: never switched on
);
INSERT INTO audit_sequencer (id, owner, epoch, expires_at, size) VALUES (1, '', 0, 0, 0);

-- Events in the tree by day (of UTC+7) and outcome, for the picture over time.
CREATE TABLE audit_activity (
    agency_id TEXT   NOT NULL,                -- '*': the whole installation
    day       BIGINT NOT NULL,                -- days since 1970-01-01
    outcome   TEXT   NOT NULL,
    events    BIGINT NOT NULL,
    PRIMARY KEY (agency_id, day, outcome)
);
