-- People of the cultures judge instances together. Only SQL that SQLite and PostgreSQL both take.
-- Times are milliseconds since 1970 (UTC).

CREATE TABLE annotation_projects (
    id TEXT PRIMARY KEY,
    -- JSON.
    settings TEXT NOT NULL,
    created TEXT NOT NULL
);

CREATE TABLE annotation_items (
    project TEXT NOT NULL REFERENCES annotation_projects (id) ON DELETE CASCADE,
    item TEXT NOT NULL,
    -- Order within the project.
    place BIGINT NOT NULL,
    -- JSON of the whole item.
    body TEXT NOT NULL,
    PRIMARY KEY (project, item)
);

CREATE TABLE annotation_members (
    project TEXT NOT NULL REFERENCES annotation_projects (id) ON DELETE CASCADE,
    member TEXT NOT NULL,
    -- Order of joining.
    place BIGINT NOT NULL,
    -- Empty once they have left.
    name TEXT NOT NULL,
    role TEXT NOT NULL,
    -- JSON array of culture codes.
    cultures TEXT NOT NULL,
    -- SHA-256 of the token that proves who they are; NULL once they have left.
    token_hash TEXT UNIQUE,
    PRIMARY KEY (project, member)
);

CREATE TABLE annotation_invites (
    id TEXT PRIMARY KEY,
    project TEXT NOT NULL REFERENCES annotation_projects (id) ON DELETE CASCADE,
    -- SHA-256 of the token in the link: the link itself is kept nowhere.
    token_hash TEXT NOT NULL UNIQUE,
    role TEXT NOT NULL,
    expires BIGINT NOT NULL,
    revoked BIGINT NOT NULL
);

-- Rows are added and never changed.
CREATE TABLE annotation_events (
    project TEXT NOT NULL REFERENCES annotation_projects (id) ON DELETE CASCADE,
    sequence BIGINT NOT NULL,
    submission TEXT NOT NULL,
    -- JSON of the whole event.
    body TEXT NOT NULL,
    PRIMARY KEY (project, sequence),
    UNIQUE (project, submission)
);

CREATE TABLE annotation_leases (
    project TEXT NOT NULL REFERENCES annotation_projects (id) ON DELETE CASCADE,
    item TEXT NOT NULL,
    member TEXT NOT NULL,
    until BIGINT NOT NULL,
    PRIMARY KEY (project, item, member)
);
