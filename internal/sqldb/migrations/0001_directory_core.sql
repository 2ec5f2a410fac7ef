-- +goose Up

-- Times are microseconds since the epoch, UTC. Search tokens, unit paths and
-- sort keys are BYTEA, so that both engines compare them byte by byte and use
-- their indexes for prefix ranges whatever the database's collation.

CREATE TABLE directory_agencies (
    id         TEXT PRIMARY KEY,
    identifier TEXT NOT NULL UNIQUE,          -- root first: G09, H26.05
    name       TEXT NOT NULL,
    name_en    TEXT NOT NULL,
    short_name TEXT NOT NULL,
    parent_id  TEXT REFERENCES directory_agencies (id),
    time_zone  TEXT NOT NULL,
    created_at BIGINT NOT NULL
);

CREATE TABLE directory_agency_domains (
    domain    TEXT PRIMARY KEY,               -- lower case
    agency_id TEXT NOT NULL REFERENCES directory_agencies (id)
);
CREATE INDEX directory_agency_domains_agency ON directory_agency_domains (agency_id);

CREATE TABLE directory_units (
    id        TEXT PRIMARY KEY,
    agency_id TEXT NOT NULL REFERENCES directory_agencies (id),
    parent_id TEXT REFERENCES directory_units (id),
    path      BYTEA NOT NULL UNIQUE,          -- "/<id of root>/…/<own id>/"
    name      TEXT NOT NULL,
    name_en   TEXT NOT NULL,
    rank      BIGINT NOT NULL                 -- order among siblings
);
CREATE INDEX directory_units_agency ON directory_units (agency_id, rank);

CREATE TABLE directory_people (
    id           TEXT PRIMARY KEY,
    family_name  TEXT NOT NULL,               -- họ
    middle_name  TEXT NOT NULL,               -- đệm
    given_name   TEXT NOT NULL,               -- tên
    display_name TEXT NOT NULL,
    fold         TEXT NOT NULL,               -- display_name folded
    sort_key     BYTEA NOT NULL,              -- tên, đệm, họ by Vietnamese collation
    created_at   BIGINT NOT NULL
);
CREATE INDEX directory_people_sort ON directory_people (sort_key, id);

-- One row for each word that a person is found by: the words of the name and
-- the main address. token is folded, marked is the word with its marks, empty
-- for an address.
CREATE TABLE directory_search_tokens (
    token     BYTEA NOT NULL,
    person_id TEXT NOT NULL REFERENCES directory_people (id),
    marked    BYTEA NOT NULL,
    PRIMARY KEY (token, person_id, marked)
);
CREATE INDEX directory_search_tokens_person ON directory_search_tokens (person_id);

CREATE TABLE directory_positions (
    id          TEXT PRIMARY KEY,
    person_id   TEXT NOT NULL REFERENCES directory_people (id),
    unit_id     TEXT NOT NULL REFERENCES directory_units (id),
    agency_id   TEXT NOT NULL REFERENCES directory_agencies (id), -- the unit's
    title       TEXT NOT NULL,
    kind        TEXT NOT NULL CHECK (kind IN ('main', 'concurrent', 'acting')),
    rank        BIGINT NOT NULL,              -- 0 main, 1 acting, 2 concurrent
    seniority   BIGINT NOT NULL,              -- order of titles in a unit, leaders first
    valid_from  BIGINT NOT NULL,
    valid_until BIGINT                        -- NULL: open
);
CREATE INDEX directory_positions_person ON directory_positions (person_id, rank, id);
CREATE INDEX directory_positions_unit ON directory_positions (unit_id);
CREATE INDEX directory_positions_agency ON directory_positions (agency_id, person_id);

CREATE TABLE directory_accounts (
    id                  TEXT PRIMARY KEY,
    person_id           TEXT NOT NULL UNIQUE REFERENCES directory_people (id),
    login               TEXT NOT NULL UNIQUE, -- main mail address, lower case
    password_hash       TEXT NOT NULL,        -- PHC string, argon2id
    password_changed_at BIGINT NOT NULL,
    disabled_at         BIGINT,
    created_at          BIGINT NOT NULL
);

CREATE TABLE directory_roles (
    account_id TEXT NOT NULL REFERENCES directory_accounts (id),
    role       TEXT NOT NULL,
    granted_at BIGINT NOT NULL,
    PRIMARY KEY (account_id, role)
);

CREATE TABLE directory_addresses (
    address   TEXT PRIMARY KEY,               -- lower case
    person_id TEXT NOT NULL REFERENCES directory_people (id),
    kind      TEXT NOT NULL CHECK (kind IN ('main', 'alias'))
);
CREATE INDEX directory_addresses_person ON directory_addresses (person_id, kind);

CREATE TABLE directory_sessions (
    id           TEXT PRIMARY KEY,
    token_hash   BYTEA NOT NULL UNIQUE,       -- SHA-256 of the token, which is stored nowhere
    account_id   TEXT NOT NULL REFERENCES directory_accounts (id),
    created_at   BIGINT NOT NULL,
    expires_at   BIGINT NOT NULL,
    last_seen_at BIGINT NOT NULL,
    address      TEXT NOT NULL,
    user_agent   TEXT NOT NULL
);
CREATE INDEX directory_sessions_account ON directory_sessions (account_id);
CREATE INDEX directory_sessions_expiry ON directory_sessions (expires_at);

-- What has ended. seq is given under the lock of the head's one row, so that it
-- rises in the order of commits and a reader that has seen n has missed nothing
-- before n.
CREATE TABLE directory_revocations (
    seq        BIGINT PRIMARY KEY,
    account_id TEXT NOT NULL,
    session_id TEXT NOT NULL,                 -- '': the whole account
    at         BIGINT NOT NULL
);
CREATE TABLE directory_revocation_head (
    id  BIGINT PRIMARY KEY CHECK (id = 1),
    seq BIGINT NOT NULL
);
INSERT INTO directory_revocation_head (id, seq) VALUES (1, 0);
