-- Nodes that were added at run time; those of the config are not in here.
CREATE TABLE nodes (
  name       TEXT PRIMARY KEY,
  definition TEXT NOT NULL,            -- JSON
  added_at   INTEGER NOT NULL
) WITHOUT ROWID;
