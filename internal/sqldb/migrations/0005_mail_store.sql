-- +goose Up

-- One store a person: every mailbox and message of theirs. modseq is one
-- counter for the whole store; it serves CONDSTORE, QRESYNC and JMAP alike.
CREATE TABLE mail_store (
    id            TEXT PRIMARY KEY,
    owner         TEXT NOT NULL UNIQUE, -- identity.PersonID
    agency        TEXT NOT NULL,        -- of the owner; namespace of their blobs
    modseq        BIGINT NOT NULL,
    history_floor BIGINT NOT NULL,      -- removals up to this modseq are forgotten
    used_bytes    BIGINT NOT NULL,
    created_at    BIGINT NOT NULL
);

CREATE TABLE mail_mailbox (
    id          TEXT PRIMARY KEY,
    store_id    TEXT NOT NULL REFERENCES mail_store (id),
    name        TEXT NOT NULL,    -- NFC, levels parted by "/"; INBOX in capitals
    role        TEXT NOT NULL,    -- "inbox", "sent", "drafts", "trash", "junk", "archive" or ""
    subscribed  BOOLEAN NOT NULL,
    uidvalidity BIGINT NOT NULL,
    uidnext     BIGINT NOT NULL,
    modseq      BIGINT NOT NULL,  -- of the last change within
    total       BIGINT NOT NULL,
    unseen      BIGINT NOT NULL,
    deleted     BIGINT NOT NULL,  -- messages flagged \Deleted
    size        BIGINT NOT NULL,
    UNIQUE (store_id, name)
);

-- Written once. trace holds the header lines that belong to one recipient
-- (Return-Path, Delivered-To, Received); the message is trace followed by body,
-- so that one body serves all recipients of an agency.
CREATE TABLE mail_message (
    id          TEXT PRIMARY KEY,
    store_id    TEXT NOT NULL REFERENCES mail_store (id),
    trace       BYTEA NOT NULL,
    body        BYTEA,            -- NULL: in the blob
    blob_agency TEXT NOT NULL,
    blob_sha256 TEXT NOT NULL,    -- "": in body
    body_size   BIGINT NOT NULL,
    message_id  TEXT NOT NULL,    -- without the angle brackets
    envelope    TEXT NOT NULL,    -- JSON, mime.Envelope
    structure   TEXT NOT NULL,    -- JSON, mime.Part; offsets count from the start of body
    preview     TEXT NOT NULL,
    search      TEXT NOT NULL,    -- folded subject, addresses and beginning of the text
    attachments BIGINT NOT NULL,
    draft       TEXT NOT NULL,    -- JSON of a draft that the web client is writing, or ""
    created_at  BIGINT NOT NULL
);
CREATE INDEX mail_message_blob ON mail_message (blob_sha256);
CREATE INDEX mail_message_store ON mail_message (store_id, message_id);

CREATE TABLE mail_mailbox_message (
    mailbox_id    TEXT NOT NULL REFERENCES mail_mailbox (id),
    uid           BIGINT NOT NULL,
    store_id      TEXT NOT NULL,
    message_id    TEXT NOT NULL REFERENCES mail_message (id),
    flags         BIGINT NOT NULL, -- bits, store.Flags
    keywords      TEXT NOT NULL,   -- sorted, parted by spaces
    internal_date BIGINT NOT NULL,
    size          BIGINT NOT NULL,
    modseq        BIGINT NOT NULL,
    PRIMARY KEY (mailbox_id, uid)
);
CREATE INDEX mail_mailbox_message_modseq ON mail_mailbox_message (mailbox_id, modseq);
CREATE INDEX mail_mailbox_message_message ON mail_mailbox_message (message_id);
CREATE INDEX mail_mailbox_message_date ON mail_mailbox_message (mailbox_id, internal_date, uid);

-- Removed messages, as ranges of UIDs.
CREATE TABLE mail_expunged (
    mailbox_id TEXT NOT NULL REFERENCES mail_mailbox (id),
    uid_first  BIGINT NOT NULL,
    uid_last   BIGINT NOT NULL,
    modseq     BIGINT NOT NULL,
    PRIMARY KEY (mailbox_id, uid_first)
);
CREATE INDEX mail_expunged_modseq ON mail_expunged (mailbox_id, modseq);

-- Files that the web client sent up for a draft.
CREATE TABLE mail_upload (
    id          TEXT PRIMARY KEY,
    store_id    TEXT NOT NULL REFERENCES mail_store (id),
    draft_id    TEXT NOT NULL,   -- mail_message of the draft; "" while none refers to it
    name        TEXT NOT NULL,
    type        TEXT NOT NULL,
    size        BIGINT NOT NULL,
    blob_agency TEXT NOT NULL,
    blob_sha256 TEXT NOT NULL,
    created_at  BIGINT NOT NULL
);
CREATE INDEX mail_upload_draft ON mail_upload (draft_id);
CREATE INDEX mail_upload_blob ON mail_upload (blob_sha256);

-- Mail for outside. A node works on an item only while it holds its lease.
CREATE TABLE mail_queue (
    id           TEXT PRIMARY KEY,
    sender       TEXT NOT NULL,   -- identity.PersonID; "" for a bounce of ours
    mail_from    TEXT NOT NULL,   -- "": null sender
    subject      TEXT NOT NULL,
    trace        BYTEA NOT NULL,  -- header lines before body: our Received
    body         BYTEA,           -- NULL: in the blob
    blob_agency  TEXT NOT NULL,
    blob_sha256  TEXT NOT NULL,
    body_size    BIGINT NOT NULL,
    state        TEXT NOT NULL,   -- "active", "held", "done"
    attempts     BIGINT NOT NULL,
    next_at      BIGINT NOT NULL,
    expires_at   BIGINT NOT NULL,
    leased_until BIGINT NOT NULL,
    lease_owner  TEXT NOT NULL,
    created_at   BIGINT NOT NULL
);
CREATE INDEX mail_queue_due ON mail_queue (state, next_at);
CREATE INDEX mail_queue_sender ON mail_queue (sender, state, created_at);
CREATE INDEX mail_queue_blob ON mail_queue (blob_sha256);

CREATE TABLE mail_queue_recipient (
    queue_id   TEXT NOT NULL REFERENCES mail_queue (id),
    recipient  TEXT NOT NULL,
    state      TEXT NOT NULL,     -- "pending", "sent", "failed"
    code       BIGINT NOT NULL,   -- last SMTP answer, 0 for none
    enhanced   TEXT NOT NULL,     -- "5.1.1" or ""
    answer     TEXT NOT NULL,     -- its words
    remote     TEXT NOT NULL,     -- host that gave it
    changed_at BIGINT NOT NULL,
    PRIMARY KEY (queue_id, recipient)
);
