-- +goose Up

-- One row for each conversation. Its lock gives the events their gap-free
-- sequence: last_seq is raised and the event inserted in one transaction.
CREATE TABLE chat_conversation (
    id            TEXT PRIMARY KEY,
    kind          TEXT NOT NULL CHECK (kind IN ('direct', 'channel')),
    title         TEXT NOT NULL,              -- '' for direct
    pair          TEXT UNIQUE,                -- direct: the two person ids in order; else NULL
    agency_id     TEXT NOT NULL,              -- owner; '' when the creator had no agency
    created_by    TEXT NOT NULL,
    created_at    BIGINT NOT NULL,
    last_seq      BIGINT NOT NULL,
    last_event_id TEXT NOT NULL,
    last_at       BIGINT NOT NULL,            -- of the last event, or of creation
    message_count BIGINT NOT NULL             -- messages up to last_seq
);

CREATE TABLE chat_event (
    conversation_id TEXT NOT NULL REFERENCES chat_conversation (id),
    seq             BIGINT NOT NULL,
    kind            TEXT NOT NULL,
    event_id        TEXT NOT NULL,
    sender          TEXT NOT NULL,            -- person id
    sender_name     TEXT NOT NULL,            -- as it was then
    client_id       TEXT NOT NULL,            -- made by the sender's client; event_id where the server made the event
    body            TEXT NOT NULL,            -- JSON
    message_count   BIGINT NOT NULL,          -- messages up to seq
    at              BIGINT NOT NULL,
    PRIMARY KEY (conversation_id, seq),
    UNIQUE (conversation_id, sender, client_id)
);

CREATE TABLE chat_member (
    conversation_id TEXT NOT NULL REFERENCES chat_conversation (id),
    person_id       TEXT NOT NULL,
    role            TEXT NOT NULL CHECK (role IN ('owner', 'member')),
    joined_seq      BIGINT NOT NULL,
    read_seq        BIGINT NOT NULL,          -- read mark
    read_count      BIGINT NOT NULL,          -- messages up to read_seq
    PRIMARY KEY (conversation_id, person_id)
);
CREATE INDEX chat_member_person ON chat_member (person_id, conversation_id);

-- The second log: what concerns one person alone.
CREATE TABLE chat_person (
    person_id     TEXT PRIMARY KEY,
    last_seq      BIGINT NOT NULL,
    last_event_id TEXT NOT NULL
);
CREATE TABLE chat_person_event (
    person_id TEXT NOT NULL REFERENCES chat_person (person_id),
    seq       BIGINT NOT NULL,
    kind      TEXT NOT NULL,
    event_id  TEXT NOT NULL,
    body      TEXT NOT NULL,                  -- JSON
    at        BIGINT NOT NULL,
    PRIMARY KEY (person_id, seq)
);
