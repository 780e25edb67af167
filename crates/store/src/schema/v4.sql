-- Small records of parts of the hub, each with its newest content: alerts and what is owed of them.
CREATE TABLE record (
  kind    TEXT NOT NULL,
  key     TEXT NOT NULL,
  content TEXT NOT NULL,               -- JSON that the hub versions
  PRIMARY KEY (kind, key)
) WITHOUT ROWID;
