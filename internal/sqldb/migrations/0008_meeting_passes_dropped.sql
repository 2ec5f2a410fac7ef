-- +goose Up

-- A token carries its account and session under our signature, and the door asks
-- the directory whether they still stand; a row for each tab repeated that.
DROP TABLE meeting_passes;
