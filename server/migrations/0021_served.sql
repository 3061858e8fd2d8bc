-- Whether a server works on the run, so that one that starts later goes on with it: 1, else 0. Only SQL
-- that SQLite and PostgreSQL both take.

ALTER TABLE runs ADD COLUMN served BIGINT NOT NULL DEFAULT 0;
