-- +goose Up

-- The secret of an account's authenticator app. A new one waits in pending
-- until a code of it has come; the old one holds meanwhile.
CREATE TABLE directory_totp (
    account_id   TEXT PRIMARY KEY REFERENCES directory_accounts (id),
    sealed       BYTEA,                       -- sealed with the installation's key; NULL: none confirmed yet
    confirmed_at BIGINT,
    last_step    BIGINT NOT NULL,             -- of the last code that was taken; none is taken twice
    last_used_at BIGINT,
    pending      BYTEA,                       -- sealed likewise
    pending_at   BIGINT
);

-- The recovery codes of an account: SHA-256 of account and code, of 120 random
-- bits each.
CREATE TABLE directory_recovery_codes (
    account_id TEXT NOT NULL REFERENCES directory_accounts (id),
    code_hash  BYTEA NOT NULL,
    created_at BIGINT NOT NULL,
    used_at    BIGINT,                        -- NULL: not yet
    PRIMARY KEY (account_id, code_hash)
);

CREATE TABLE directory_passkeys (
    id            TEXT PRIMARY KEY,
    account_id    TEXT NOT NULL REFERENCES directory_accounts (id),
    credential_id BYTEA NOT NULL UNIQUE,      -- chosen by the authenticator
    public_key    BYTEA NOT NULL,             -- COSE
    sign_count    BIGINT NOT NULL,
    flags         BIGINT NOT NULL,            -- of the authenticator data
    aaguid        BYTEA NOT NULL,             -- model of the authenticator
    transports    TEXT NOT NULL,              -- words
    name          TEXT NOT NULL,              -- given by the owner
    created_at    BIGINT NOT NULL,
    last_used_at  BIGINT
);
CREATE INDEX directory_passkeys_account ON directory_passkeys (account_id, id);

-- Challenges of passkey ceremonies that a signed-in person has begun. Each is
-- taken once, by the session that began it. Those of a sign-in lie in its
-- ticket.
CREATE TABLE directory_passkey_challenges (
    challenge_hash BYTEA PRIMARY KEY,         -- SHA-256
    session_id     TEXT NOT NULL,
    purpose        TEXT NOT NULL,             -- register, prove
    expires_at     BIGINT NOT NULL
);
CREATE INDEX directory_passkey_challenges_session ON directory_passkey_challenges (session_id);
CREATE INDEX directory_passkey_challenges_expiry ON directory_passkey_challenges (expires_at);

-- Codes that were typed wrong in a row, whatever node they came to: six digits
-- do not stand against many guesses.
CREATE TABLE directory_factor_failures (
    account_id TEXT PRIMARY KEY REFERENCES directory_accounts (id),
    failures   BIGINT NOT NULL,
    retry_at   BIGINT NOT NULL                -- no code is looked at before
);
