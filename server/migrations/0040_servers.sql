-- Several servers on one PostgreSQL. Only SQL that SQLite and PostgreSQL both take.
-- Times are milliseconds since 1970 (UTC), by the database's clock.

CREATE TABLE servers (
    -- Kept in the data folder.
    id TEXT PRIMARY KEY,
    -- The data folder, as its server names it.
    folder TEXT NOT NULL
);

-- The server whose data folder has the files; NULL where the database is in the data folder.
ALTER TABLE runs ADD COLUMN server TEXT;
ALTER TABLE adapters ADD COLUMN server TEXT;

-- How often a project has changed. Who changes it raises this first, and so has it alone until the
-- end of the transaction.
CREATE TABLE annotation_revisions (
    project TEXT PRIMARY KEY REFERENCES annotation_projects (id) ON DELETE CASCADE,
    revision BIGINT NOT NULL
);

INSERT INTO annotation_revisions (project, revision) SELECT id, 1 FROM annotation_projects;

-- The revision of the last change.
ALTER TABLE annotation_projects ADD COLUMN changed BIGINT NOT NULL DEFAULT 1;
ALTER TABLE annotation_members ADD COLUMN changed BIGINT NOT NULL DEFAULT 1;
ALTER TABLE annotation_leases ADD COLUMN changed BIGINT NOT NULL DEFAULT 1;

-- Who is connected to which server.
CREATE TABLE annotation_presence (
    project TEXT NOT NULL REFERENCES annotation_projects (id) ON DELETE CASCADE,
    server TEXT NOT NULL,
    member TEXT NOT NULL,
    -- What they look at.
    item TEXT,
    -- Renewed while they are connected.
    until BIGINT NOT NULL,
    PRIMARY KEY (project, server, member)
);
