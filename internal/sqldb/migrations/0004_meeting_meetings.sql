-- +goose Up

-- A meeting as officials know it. Its id is what opens its door, so it is
-- random, not a UUIDv7. Times are microseconds since the epoch, UTC.
CREATE TABLE meeting_meetings (
    id         TEXT    NOT NULL PRIMARY KEY,
    agency_id  TEXT    NOT NULL, -- of the maker's active position; empty for an account without one
    title      TEXT    NOT NULL,
    created_by TEXT    NOT NULL, -- person
    created_at BIGINT  NOT NULL,
    starts_at  BIGINT  NOT NULL, -- created_at for a meeting that starts at once
    scheduled  BOOLEAN NOT NULL, -- the maker named starts_at
    ended_at   BIGINT,           -- null while the door is open
    ended_by   TEXT
);

-- Who finds a meeting in the list. closes_at repeats what follows from the
-- meeting (twelve hours after its start, or its end), so that one index
-- answers both halves of a person's list: what is ahead and what is over.
CREATE TABLE meeting_people (
    meeting_id TEXT   NOT NULL REFERENCES meeting_meetings (id),
    person_id  TEXT   NOT NULL,
    relation   TEXT   NOT NULL, -- maker, invited, joined (came by the link)
    added_by   TEXT   NOT NULL, -- person
    added_at   BIGINT NOT NULL,
    closes_at  BIGINT NOT NULL,
    PRIMARY KEY (meeting_id, person_id)
);

CREATE INDEX meeting_people_list ON meeting_people (person_id, closes_at, meeting_id);

-- Whom a token was made for. The token carries only the identity; account and
-- session stand here, so that the door can ask whether they still hold.
CREATE TABLE meeting_passes (
    meeting_id  TEXT   NOT NULL REFERENCES meeting_meetings (id),
    identity    TEXT   NOT NULL, -- person and tab
    person_id   TEXT   NOT NULL,
    account_id  TEXT   NOT NULL,
    session_id  TEXT   NOT NULL, -- empty when no session asked
    position_id TEXT   NOT NULL,
    agency_id   TEXT   NOT NULL,
    issued_at   BIGINT NOT NULL, -- of the newest token
    revoked_at  BIGINT,
    PRIMARY KEY (meeting_id, identity)
);

CREATE INDEX meeting_passes_account ON meeting_passes (account_id, issued_at);
