-- +goose Up

-- password_hash is '' while an account has never had a password: its owner
-- comes in by a one-time code or by an outside provider.
ALTER TABLE directory_accounts ADD COLUMN must_change BOOLEAN NOT NULL DEFAULT FALSE; -- a new password at the next sign-in

-- A session that was idle for too long is locked: idle_gap is the longest time
-- between two acts of its owner since they last proved who they are.
ALTER TABLE directory_sessions ADD COLUMN method TEXT NOT NULL DEFAULT 'password';  -- words of what was proven at sign-in
ALTER TABLE directory_sessions ADD COLUMN proven_at BIGINT NOT NULL DEFAULT 0;
ALTER TABLE directory_sessions ADD COLUMN active_at BIGINT NOT NULL DEFAULT 0;
ALTER TABLE directory_sessions ADD COLUMN idle_gap BIGINT NOT NULL DEFAULT 0;       -- microseconds

-- A sign-in that is under way. Each step ends its ticket and makes the next.
CREATE TABLE directory_sign_in_tickets (
    token_hash BYTEA PRIMARY KEY,             -- SHA-256 of the ticket, which is stored nowhere
    account_id TEXT NOT NULL,                 -- '': not known yet (a passkey will tell)
    proven     TEXT NOT NULL,                 -- words: password, code, totp, …
    next       TEXT NOT NULL,                 -- words: what is asked for now, any one of it
    state      BYTEA NOT NULL,                -- what a verifier keeps until the answer comes
    attempts   BIGINT NOT NULL,
    expires_at BIGINT NOT NULL
);
CREATE INDEX directory_sign_in_tickets_expiry ON directory_sign_in_tickets (expires_at);
CREATE INDEX directory_sign_in_tickets_account ON directory_sign_in_tickets (account_id);

-- One-time codes of invitations and resets: one an account, a new one takes its
-- place.
CREATE TABLE directory_one_time_codes (
    account_id TEXT PRIMARY KEY REFERENCES directory_accounts (id),
    code_hash  BYTEA NOT NULL,                -- SHA-256 of 80 random bits
    end_apps   BOOLEAN NOT NULL,              -- its use ends the app passwords too
    created_by TEXT NOT NULL,                 -- account; '': the command line
    created_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL
);

-- Passwords of programs, one scope or several each. They are random, so that a
-- fast keyed hash keeps them and finds them.
CREATE TABLE directory_app_passwords (
    id           TEXT PRIMARY KEY,
    account_id   TEXT NOT NULL REFERENCES directory_accounts (id),
    name         TEXT NOT NULL,
    scopes       TEXT NOT NULL,               -- words: imap, smtp, ldap, xmpp, carddav
    mac          BYTEA NOT NULL UNIQUE,       -- HMAC-SHA-256 under the installation's key
    created_at   BIGINT NOT NULL,
    last_used_at BIGINT,
    expires_at   BIGINT                       -- NULL: never
);
CREATE INDEX directory_app_passwords_account ON directory_app_passwords (account_id, id);

-- An address outside of the installation that a one-time code may be sent to.
CREATE TABLE directory_outside_addresses (
    account_id      TEXT PRIMARY KEY REFERENCES directory_accounts (id),
    address         TEXT NOT NULL,            -- verified; '': none yet
    verified_at     BIGINT,
    pending         TEXT NOT NULL,            -- a new one that waits for its code; '': none
    pending_hash    BYTEA NOT NULL,           -- SHA-256 of account, address and code
    pending_until   BIGINT NOT NULL,
    pending_tries   BIGINT NOT NULL
);

-- Pictures of people, made small. Their hash stands in directory_people.photo.
CREATE TABLE directory_photos (
    person_id  TEXT PRIMARY KEY REFERENCES directory_people (id),
    media_type TEXT NOT NULL,
    bytes      BYTEA NOT NULL                 -- at most 32 KiB
);
