-- +goose Up

-- A row stands here when the demo filled this directory with accounts whose
-- password everyone knows; a server that is no demo refuses to serve it.
CREATE TABLE directory_demo (
    id        BIGINT PRIMARY KEY CHECK (id = 1),
    filled_at BIGINT NOT NULL
);
