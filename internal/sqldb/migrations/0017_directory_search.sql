-- +goose Up

DROP TABLE directory_search_tokens;

-- What people are found by. Each key begins with one word of the person's name
-- and holds all others behind it, so that one range answers a word, or two
-- words that stand beside each other, and the row itself tells whether the
-- rest of the query fits; directory/searchkey says how keys are made. scope is
-- one zero byte for everybody who holds a post, or an agency's id in 16 bytes;
-- person is an id in 16 bytes; name sorts by the Vietnamese alphabet and keeps
-- the marks.
CREATE TABLE directory_search (
    scope  BYTEA NOT NULL,
    key    BYTEA NOT NULL,
    name   BYTEA NOT NULL,
    person BYTEA NOT NULL,
    PRIMARY KEY (scope, key, name, person)
) /*sqlite WITHOUT ROWID*/;

-- Every word of a name, folded and as written: what the beginning of a word can
-- stand for. Rows stay when the last person of that name is gone.
CREATE TABLE directory_search_words (
    folded BYTEA NOT NULL,
    marked BYTEA NOT NULL,
    PRIMARY KEY (folded, marked)
) /*sqlite WITHOUT ROWID*/;

-- What a person's rows above were made of, so that they can be taken away
-- without an index by person.
CREATE TABLE directory_search_people (
    person_id   TEXT PRIMARY KEY REFERENCES directory_people (id),
    family_name TEXT NOT NULL,
    middle_name TEXT NOT NULL,
    given_name  TEXT NOT NULL,
    address     TEXT NOT NULL,
    agencies    TEXT NOT NULL                 -- ids with a space between, in order
) /*sqlite WITHOUT ROWID*/;

-- People whose rows are still to be made: those of before this migration, and
-- those whose last post has ended since.
CREATE TABLE directory_search_backlog (
    person_id TEXT PRIMARY KEY REFERENCES directory_people (id)
) /*sqlite WITHOUT ROWID*/;
INSERT INTO directory_search_backlog (person_id) SELECT id FROM directory_people;

-- How many people hold a post in an agency; kept with the search rows.
CREATE TABLE directory_agency_people (
    agency_id TEXT PRIMARY KEY REFERENCES directory_agencies (id),
    people    BIGINT NOT NULL
);

-- A unit's people in the order of its page.
ALTER TABLE directory_positions ADD COLUMN sort_key BYTEA NOT NULL DEFAULT ''; -- the person's
UPDATE directory_positions SET sort_key = (SELECT p.sort_key FROM directory_people p WHERE p.id = person_id);
DROP INDEX directory_positions_unit;
CREATE INDEX directory_positions_unit ON directory_positions (unit_id, seniority, sort_key, id);
CREATE INDEX directory_positions_until ON directory_positions (valid_until);
