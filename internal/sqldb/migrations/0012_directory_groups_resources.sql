-- +goose Up

-- version rises with each change, so that an administrator's page that is older
-- than the record is told.
ALTER TABLE directory_agencies ADD COLUMN version BIGINT NOT NULL DEFAULT 1;
ALTER TABLE directory_agency_domains ADD COLUMN rank BIGINT NOT NULL DEFAULT 0; -- 0: the main one
ALTER TABLE directory_units ADD COLUMN version BIGINT NOT NULL DEFAULT 1;
ALTER TABLE directory_people ADD COLUMN version BIGINT NOT NULL DEFAULT 1;
ALTER TABLE directory_positions ADD COLUMN version BIGINT NOT NULL DEFAULT 1;

-- A unit that posts were held in is closed instead of deleted: their history
-- names it.
ALTER TABLE directory_units ADD COLUMN closed_at BIGINT;
CREATE INDEX directory_units_parent ON directory_units (parent_id);

CREATE TABLE directory_service_mailboxes (
    id         TEXT PRIMARY KEY,
    agency_id  TEXT NOT NULL REFERENCES directory_agencies (id),
    unit_id    TEXT NOT NULL REFERENCES directory_units (id),
    name       TEXT NOT NULL,
    name_en    TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    version    BIGINT NOT NULL DEFAULT 1
);
CREATE INDEX directory_service_mailboxes_agency ON directory_service_mailboxes (agency_id);
CREATE INDEX directory_service_mailboxes_unit ON directory_service_mailboxes (unit_id);

-- An address belongs to a person or to a unit's mailbox; one primary key keeps
-- it from belonging to both.
CREATE TABLE directory_addresses_wide (
    address    TEXT PRIMARY KEY,              -- lower case
    person_id  TEXT REFERENCES directory_people (id),
    mailbox_id TEXT REFERENCES directory_service_mailboxes (id),
    kind       TEXT NOT NULL CHECK (kind IN ('main', 'alias', 'service')),
    CHECK ((person_id IS NULL) = (kind = 'service')),
    CHECK ((mailbox_id IS NOT NULL) = (kind = 'service'))
);
INSERT INTO directory_addresses_wide (address, person_id, kind) SELECT address, person_id, kind FROM directory_addresses;
DROP TABLE directory_addresses;
ALTER TABLE directory_addresses_wide RENAME TO directory_addresses;
CREATE INDEX directory_addresses_person ON directory_addresses (person_id, kind);
CREATE INDEX directory_addresses_mailbox ON directory_addresses (mailbox_id);

CREATE TABLE directory_groups (
    id           TEXT PRIMARY KEY,
    agency_id    TEXT NOT NULL REFERENCES directory_agencies (id),
    unit_id      TEXT REFERENCES directory_units (id),  -- NULL: the whole agency's
    name         TEXT NOT NULL,
    name_en      TEXT NOT NULL,
    fold         TEXT NOT NULL,               -- name folded
    description  TEXT NOT NULL,
    kind         TEXT NOT NULL CHECK (kind IN ('listed', 'rule')),
    rule_unit_id TEXT REFERENCES directory_units (id),  -- NULL: the whole agency
    rule_titles  TEXT NOT NULL,               -- JSON: beginnings of titles; []: all
    created_at   BIGINT NOT NULL,
    version      BIGINT NOT NULL DEFAULT 1
);
CREATE UNIQUE INDEX directory_groups_agency ON directory_groups (agency_id, fold);
CREATE INDEX directory_groups_unit ON directory_groups (unit_id);
CREATE INDEX directory_groups_rule_unit ON directory_groups (rule_unit_id);

CREATE TABLE directory_group_owners (
    group_id  TEXT NOT NULL REFERENCES directory_groups (id),
    person_id TEXT NOT NULL REFERENCES directory_people (id),
    PRIMARY KEY (group_id, person_id)
);
CREATE INDEX directory_group_owners_person ON directory_group_owners (person_id);

CREATE TABLE directory_group_members (
    id          TEXT PRIMARY KEY,
    group_id    TEXT NOT NULL REFERENCES directory_groups (id),
    person_id   TEXT REFERENCES directory_people (id),
    position_id TEXT REFERENCES directory_positions (id), -- instead of person_id: whoever holds it
    added_at    BIGINT NOT NULL,
    CHECK ((person_id IS NULL) <> (position_id IS NULL))
);
CREATE UNIQUE INDEX directory_group_members_person ON directory_group_members (group_id, person_id);
CREATE UNIQUE INDEX directory_group_members_position ON directory_group_members (group_id, position_id);
CREATE INDEX directory_group_members_of_person ON directory_group_members (person_id);
CREATE INDEX directory_group_members_of_position ON directory_group_members (position_id);

CREATE TABLE directory_service_mailbox_users (
    id          TEXT PRIMARY KEY,
    mailbox_id  TEXT NOT NULL REFERENCES directory_service_mailboxes (id),
    position_id TEXT REFERENCES directory_positions (id),
    group_id    TEXT REFERENCES directory_groups (id), -- instead of position_id
    may_read    BOOLEAN NOT NULL,
    may_send    BOOLEAN NOT NULL,
    CHECK ((position_id IS NULL) <> (group_id IS NULL))
);
CREATE UNIQUE INDEX directory_service_mailbox_users_position ON directory_service_mailbox_users (mailbox_id, position_id);
CREATE UNIQUE INDEX directory_service_mailbox_users_group ON directory_service_mailbox_users (mailbox_id, group_id);
CREATE INDEX directory_service_mailbox_users_of_position ON directory_service_mailbox_users (position_id);
CREATE INDEX directory_service_mailbox_users_of_group ON directory_service_mailbox_users (group_id);

CREATE TABLE directory_resources (
    id          TEXT PRIMARY KEY,
    agency_id   TEXT NOT NULL REFERENCES directory_agencies (id),
    unit_id     TEXT NOT NULL REFERENCES directory_units (id),
    kind        TEXT NOT NULL CHECK (kind IN ('room', 'equipment')),
    name        TEXT NOT NULL,
    name_en     TEXT NOT NULL,
    place       TEXT NOT NULL,
    capacity    BIGINT NOT NULL,              -- seats; 0: not said
    description TEXT NOT NULL,
    created_at  BIGINT NOT NULL,
    version     BIGINT NOT NULL DEFAULT 1
);
CREATE UNIQUE INDEX directory_resources_agency ON directory_resources (agency_id, kind, name, place);
CREATE INDEX directory_resources_unit ON directory_resources (unit_id);

-- A role on one object that its agency gives to a partner, which chooses the
-- people.
CREATE TABLE directory_partner_grants (
    id          TEXT PRIMARY KEY,
    agency_id   TEXT NOT NULL REFERENCES directory_agencies (id), -- whose the object is
    partner_id  TEXT NOT NULL REFERENCES directory_agencies (id),
    object_kind TEXT NOT NULL,
    object_id   TEXT NOT NULL,
    object_name TEXT NOT NULL,
    role        TEXT NOT NULL,
    until       BIGINT,                       -- NULL: open
    created_by  TEXT NOT NULL,                -- account; '': the command line
    created_at  BIGINT NOT NULL
);
CREATE UNIQUE INDEX directory_partner_grants_object ON directory_partner_grants (object_kind, object_id, agency_id, partner_id, role);
CREATE INDEX directory_partner_grants_agency ON directory_partner_grants (agency_id);
CREATE INDEX directory_partner_grants_partner ON directory_partner_grants (partner_id);

CREATE TABLE directory_partner_people (
    grant_id    TEXT NOT NULL REFERENCES directory_partner_grants (id),
    person_id   TEXT NOT NULL REFERENCES directory_people (id),
    assigned_by TEXT NOT NULL,
    assigned_at BIGINT NOT NULL,
    PRIMARY KEY (grant_id, person_id)
);
CREATE INDEX directory_partner_people_person ON directory_partner_people (person_id);
