-- Everything a data folder keeps. Only SQL that SQLite and PostgreSQL both take.

CREATE TABLE surveys (
    id TEXT PRIMARY KEY,
    title TEXT NOT NULL,
    -- JSON of where the reference comes from.
    provenance TEXT NOT NULL,
    -- Number of questions that evaluation uses.
    evaluated BIGINT NOT NULL,
    -- SHA-256 of the whole survey as JSON: storing the same one again changes nothing.
    hash TEXT NOT NULL,
    -- JSON of cultures, topics and questions; the reference has rows of its own.
    body TEXT NOT NULL
);

CREATE TABLE people (
    survey TEXT NOT NULL REFERENCES surveys (id) ON DELETE CASCADE,
    culture TEXT NOT NULL,
    question TEXT NOT NULL,
    -- JSON array: share per option.
    shares TEXT NOT NULL,
    mode BIGINT NOT NULL,
    PRIMARY KEY (survey, culture, question)
);

CREATE TABLE runs (
    id TEXT PRIMARY KEY,
    -- Order of creation, over all kinds.
    number BIGINT NOT NULL UNIQUE,
    kind TEXT NOT NULL,
    settings TEXT NOT NULL,
    state TEXT NOT NULL,
    answered BIGINT NOT NULL,
    total BIGINT NOT NULL,
    error TEXT,
    created TEXT NOT NULL
);

CREATE TABLE units (
    run TEXT NOT NULL REFERENCES runs (id) ON DELETE CASCADE,
    step TEXT NOT NULL,
    unit TEXT NOT NULL,
    result TEXT NOT NULL,
    PRIMARY KEY (run, step, unit)
);

CREATE TABLE adapters (
    -- SHA-256 of the base model's weights: the same name may exist for several bases.
    base_hash TEXT NOT NULL,
    name TEXT NOT NULL,
    hash TEXT NOT NULL,
    culture TEXT,
    run TEXT REFERENCES runs (id),
    folder TEXT NOT NULL,
    created TEXT NOT NULL,
    PRIMARY KEY (base_hash, name)
);
