-- +goose Up

-- A staff list that was compared with the directory, and what it would change.
-- It is applied as it was shown, in batches; done says how far.
CREATE TABLE directory_imports (
    id          TEXT PRIMARY KEY,
    agency_id   TEXT NOT NULL REFERENCES directory_agencies (id),
    state       TEXT NOT NULL CHECK (state IN ('preparing', 'refused', 'previewed', 'applying', 'applied', 'stale')),
    actor       TEXT NOT NULL,                -- JSON: who compared or, later, applied it
    file_name   TEXT NOT NULL,
    file_hash   BYTEA NOT NULL,               -- SHA-256
    compared    BYTEA NOT NULL,               -- SHA-256 of what the directory held of the agency
    report      TEXT NOT NULL,                -- JSON: counts, columns, problems
    total       BIGINT NOT NULL,              -- entries
    done        BIGINT NOT NULL,              -- of them, from the first
    skipped     BIGINT NOT NULL,              -- of those done: not applied, each says why
    lease_until BIGINT NOT NULL,              -- a node is at it until then
    created_at  BIGINT NOT NULL,
    applied_at  BIGINT
);
CREATE INDEX directory_imports_agency ON directory_imports (agency_id, created_at);
CREATE INDEX directory_imports_state ON directory_imports (state);

CREATE TABLE directory_import_entries (
    import_id TEXT NOT NULL REFERENCES directory_imports (id),
    seq       BIGINT NOT NULL,                -- from 1
    kind      TEXT NOT NULL,
    entry     TEXT NOT NULL,                  -- JSON
    outcome   TEXT NOT NULL,                  -- why it was not applied; '': it was, or will be
    PRIMARY KEY (import_id, seq)
) /*sqlite WITHOUT ROWID*/;
CREATE INDEX directory_import_entries_kind ON directory_import_entries (import_id, kind, seq);
