-- Where the steps of a run stand, and what they have to show. Only SQL that SQLite and PostgreSQL
-- both take.

CREATE TABLE steps (
    run TEXT NOT NULL REFERENCES runs (id) ON DELETE CASCADE,
    step TEXT NOT NULL,
    -- `waiting`, `begun` or `done`.
    state TEXT NOT NULL,
    -- Which part of it is at work: an adapter's name.
    part TEXT,
    done BIGINT NOT NULL,
    total BIGINT NOT NULL,
    -- JSON of what the step has to show; its shape is the step's.
    summary TEXT,
    PRIMARY KEY (run, step)
);
