-- +goose Up

-- What was sent up and never used is looked for by its age.
CREATE INDEX mail_upload_created ON mail_upload (created_at);
