-- The run whose instances a project judges; NULL where its items came from a file.
ALTER TABLE annotation_projects ADD COLUMN source_run TEXT;
