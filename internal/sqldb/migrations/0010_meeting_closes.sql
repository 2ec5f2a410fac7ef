-- +goose Up

-- When lists begin to count a meeting as over. It no longer follows from the
-- start alone: a meeting of the spur of the moment that all have left is over
-- soon after, and one that people are in is not over. meeting_people.closes_at
-- repeats it.
ALTER TABLE meeting_meetings ADD COLUMN closes_at BIGINT NOT NULL DEFAULT 0;

UPDATE meeting_meetings SET closes_at = COALESCE(ended_at, starts_at + 43200000000);
