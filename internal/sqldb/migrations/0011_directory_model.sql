-- +goose Up

-- Administrative roles hold in a subtree: of the installation, an agency, or a
-- unit and all below it. agency_id and unit_path are '' where they do not
-- narrow the role, so that the key holds every grant once.
CREATE TABLE directory_admin_grants (
    account_id TEXT NOT NULL REFERENCES directory_accounts (id),
    role       TEXT NOT NULL,
    agency_id  TEXT NOT NULL,
    unit_path  TEXT NOT NULL,                 -- path of a unit of the agency
    granted_by TEXT NOT NULL,                 -- account; '': the command line
    granted_at BIGINT NOT NULL,
    PRIMARY KEY (account_id, role, agency_id, unit_path)
);
CREATE INDEX directory_admin_grants_agency ON directory_admin_grants (agency_id);
INSERT INTO directory_admin_grants (account_id, role, agency_id, unit_path, granted_by, granted_at)
    SELECT account_id, role, '', '', '', granted_at FROM directory_roles;
DROP TABLE directory_roles;

-- What a person's card shows beside names and posts.
ALTER TABLE directory_people ADD COLUMN phone TEXT NOT NULL DEFAULT '';        -- of the desk
ALTER TABLE directory_people ADD COLUMN mobile TEXT NOT NULL DEFAULT '';
ALTER TABLE directory_people ADD COLUMN office TEXT NOT NULL DEFAULT '';       -- room and building
ALTER TABLE directory_people ADD COLUMN photo TEXT NOT NULL DEFAULT '';        -- SHA-256 in hex of the picture; '': none
ALTER TABLE directory_people ADD COLUMN external_key TEXT;                     -- stable key of a personnel system
ALTER TABLE directory_people ADD COLUMN updated_at BIGINT NOT NULL DEFAULT 0;
CREATE UNIQUE INDEX directory_people_external_key ON directory_people (external_key);

-- The old leaf-first form of an agency's identifier (000.00.00.G22) is a name
-- of its own, never cut out of the new one.
CREATE TABLE directory_agency_aliases (
    alias     TEXT PRIMARY KEY,
    agency_id TEXT NOT NULL REFERENCES directory_agencies (id)
);
CREATE INDEX directory_agency_aliases_agency ON directory_agency_aliases (agency_id);
