-- +goose Up

-- Up to which classification the holder of a post reads.
ALTER TABLE directory_positions ADD COLUMN clearance BIGINT NOT NULL DEFAULT 0;

-- A role holds in a unit by the unit's id: its path changes when the unit is
-- moved, and a role must move along, never widen. NULL does not narrow the role.
CREATE TABLE directory_admin_grants_by_unit (
    id         TEXT PRIMARY KEY,
    account_id TEXT NOT NULL REFERENCES directory_accounts (id),
    role       TEXT NOT NULL,
    agency_id  TEXT REFERENCES directory_agencies (id),
    unit_id    TEXT REFERENCES directory_units (id) ON DELETE CASCADE,
    granted_by TEXT NOT NULL,                 -- account; '': the command line
    granted_at BIGINT NOT NULL,
    CHECK (unit_id IS NULL OR agency_id IS NOT NULL)
);
-- Until now roles were given for the whole installation or an agency only.
INSERT INTO directory_admin_grants_by_unit (id, account_id, role, agency_id, unit_id, granted_by, granted_at)
    SELECT account_id || '-' || role || '-' || agency_id, account_id, role, NULLIF(agency_id, ''), NULL, granted_by, granted_at
    FROM directory_admin_grants WHERE unit_path = '';
DROP TABLE directory_admin_grants;
ALTER TABLE directory_admin_grants_by_unit RENAME TO directory_admin_grants;
CREATE UNIQUE INDEX directory_admin_grants_once
    ON directory_admin_grants (account_id, role, COALESCE(agency_id, ''), COALESCE(unit_id, ''));
CREATE INDEX directory_admin_grants_agency ON directory_admin_grants (agency_id);
CREATE INDEX directory_admin_grants_unit ON directory_admin_grants (unit_id);

-- What changes about an account without ending anything (roles, lent posts)
-- goes through the same log, so that every node forgets what it remembers.
ALTER TABLE directory_revocations ADD COLUMN refresh BOOLEAN NOT NULL DEFAULT FALSE;
-- What ends is only what the account does in this position; '': all of it.
ALTER TABLE directory_revocations ADD COLUMN position_id TEXT NOT NULL DEFAULT '';

-- A position that its holder lends (ủy quyền).
CREATE TABLE directory_delegations (
    id          TEXT PRIMARY KEY,
    position_id TEXT NOT NULL REFERENCES directory_positions (id) ON DELETE CASCADE,
    giver_id    TEXT NOT NULL REFERENCES directory_people (id),
    taker_id    TEXT NOT NULL REFERENCES directory_people (id),
    scopes      TEXT NOT NULL,                -- words with a blank between: "chat mail"
    valid_from  BIGINT NOT NULL,
    valid_until BIGINT NOT NULL,
    created_at  BIGINT NOT NULL,
    ended_at    BIGINT                        -- taken back or given back before its time
);
CREATE INDEX directory_delegations_taker ON directory_delegations (taker_id, valid_until);
CREATE INDEX directory_delegations_giver ON directory_delegations (giver_id, valid_until);
CREATE INDEX directory_delegations_position ON directory_delegations (position_id);

-- What an agency decides for its people: who sees which field, and how they
-- sign in. A field that is not in it has the default.
CREATE TABLE directory_policies (
    agency_id  TEXT PRIMARY KEY REFERENCES directory_agencies (id),
    policy     TEXT NOT NULL,                 -- JSON
    updated_at BIGINT NOT NULL
);

-- What stands above the policy for one person: set by the person, where the
-- policy lets, or by an administrator.
CREATE TABLE directory_person_visibility (
    person_id TEXT PRIMARY KEY REFERENCES directory_people (id),
    own       TEXT NOT NULL,                  -- JSON: field → level
    set_by    TEXT NOT NULL                   -- JSON likewise, by an administrator
);
