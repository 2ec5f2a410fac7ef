-- +goose Up

-- Nodes that serve meetings now. A row is one run of a process: it is renewed
-- every few seconds, and one that has expired is never renewed again, so that
-- whoever sees it expired knows that its node has given up its rooms.
CREATE TABLE signaling_nodes (
    id         TEXT PRIMARY KEY,
    address    TEXT   NOT NULL,               -- host:port for other nodes; '': none
    expires_at BIGINT NOT NULL                -- by the database's clock
);
CREATE INDEX signaling_nodes_expires ON signaling_nodes (expires_at);

-- Which node a room lives on: a node without a row above is dead, and its rooms
-- are free.
CREATE TABLE signaling_rooms (
    room    TEXT PRIMARY KEY,
    node    TEXT   NOT NULL,                  -- '': nobody's
    epoch   BIGINT NOT NULL,                  -- rises each time the room is taken
    left_at BIGINT NOT NULL                   -- by the database's clock; 0 while it is somebody's
);
CREATE INDEX signaling_rooms_node ON signaling_rooms (node, left_at);
