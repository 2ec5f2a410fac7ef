-- +goose Up

-- Who an outside provider's people are here. The first sign-in links the
-- provider's name for a person to the account; from then on that name alone is
-- believed, and no other one of that provider opens the account.
CREATE TABLE directory_outside_identities (
    issuer       TEXT NOT NULL,
    subject      TEXT NOT NULL,
    account_id   TEXT NOT NULL REFERENCES directory_accounts (id),
    linked_at    BIGINT NOT NULL,
    last_used_at BIGINT NOT NULL,
    PRIMARY KEY (issuer, subject)
);
CREATE UNIQUE INDEX directory_outside_identities_account ON directory_outside_identities (account_id, issuer);
