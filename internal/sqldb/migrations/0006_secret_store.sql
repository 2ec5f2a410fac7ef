-- +goose Up

-- Secrets that the server makes for itself (signing keys, shared secrets of
-- its parts), sealed with the key of secret_key_file: one row, made once, read
-- by every node.
CREATE TABLE secret_store (
    name       TEXT   NOT NULL PRIMARY KEY, -- "turn.secret"; authenticated with the sealed bytes
    sealed     BYTEA  NOT NULL,             -- version, nonce, XChaCha20-Poly1305 ciphertext
    created_at BIGINT NOT NULL              -- microseconds since 1970, UTC
);
