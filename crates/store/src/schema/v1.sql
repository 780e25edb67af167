-- Small values by name: clean-shutdown marker, counters of history, lines of retention.
CREATE TABLE meta (
  key   TEXT PRIMARY KEY,
  value TEXT NOT NULL
) WITHOUT ROWID;

CREATE TABLE resource (
  id   INTEGER PRIMARY KEY,
  name TEXT NOT NULL UNIQUE,           -- kind/name
  kind TEXT NOT NULL
);

-- The newest state of a resource, as JSON that the hub versions.
CREATE TABLE resource_state (
  resource INTEGER PRIMARY KEY REFERENCES resource(id),
  at       INTEGER NOT NULL,           -- all times: milliseconds since the epoch, UTC
  state    BLOB NOT NULL
);

CREATE TABLE series (
  id                 INTEGER PRIMARY KEY,
  resource           INTEGER NOT NULL REFERENCES resource(id),
  metric             INTEGER NOT NULL, -- number in the metric catalogue
  instance           TEXT NOT NULL,
  name               TEXT NOT NULL,    -- metric_name of health_metrics
  unit               TEXT NOT NULL,
  first_at           INTEGER NOT NULL,
  last_at            INTEGER NOT NULL, -- as of the last sealed hour; 0: never seen
  threshold_warning  REAL,
  threshold_critical REAL,
  status             TEXT,
  UNIQUE (resource, metric, instance)
);

-- What the columns of open frames mean: series ids, 4 bytes each, little-endian.
CREATE TABLE layout (
  id       INTEGER PRIMARY KEY,
  resource INTEGER NOT NULL REFERENCES resource(id),
  series   BLOB NOT NULL,
  UNIQUE (resource, series)
);

-- Readings whose hour is not sealed yet: one float per column, 8 bytes each, little-endian.
CREATE TABLE open_frame (
  id       INTEGER PRIMARY KEY,
  resource INTEGER NOT NULL,
  at       INTEGER NOT NULL,
  layout   INTEGER NOT NULL,
  readings BLOB NOT NULL
);
CREATE UNIQUE INDEX open_frame_by_time ON open_frame (resource, at);

-- Sealed history. resolution: 0 raw, 1 one minute, 2 one hour.
CREATE TABLE block (
  id         INTEGER PRIMARY KEY,
  resource   INTEGER NOT NULL,
  resolution INTEGER NOT NULL,
  from_at    INTEGER NOT NULL,         -- first time in it
  to_at      INTEGER NOT NULL,         -- last time in it
  samples    INTEGER NOT NULL,
  data       BLOB NOT NULL
);
CREATE INDEX block_by_time ON block (resource, resolution, from_at, to_at);
CREATE INDEX block_by_age ON block (resolution, to_at);

-- The newest readings of a resource: {"series id": value, ...}.
CREATE TABLE newest (
  resource INTEGER PRIMARY KEY REFERENCES resource(id),
  at       INTEGER NOT NULL,
  readings TEXT NOT NULL
);

CREATE TABLE check_change (
  id       INTEGER PRIMARY KEY,
  resource INTEGER NOT NULL REFERENCES resource(id),
  "check"  TEXT NOT NULL,
  instance TEXT NOT NULL,
  status   TEXT NOT NULL,
  hard     INTEGER NOT NULL,
  message  TEXT NOT NULL,
  at       INTEGER NOT NULL,
  details  TEXT
);
CREATE INDEX check_change_by_resource ON check_change (resource, at);
CREATE INDEX check_change_by_time ON check_change (at);

CREATE TABLE event (
  id       INTEGER PRIMARY KEY,        -- given by the hub, ascending
  at       INTEGER NOT NULL,
  kind     TEXT NOT NULL,
  resource TEXT,                       -- kind/name; null for the hub itself
  message  TEXT NOT NULL,
  details  TEXT NOT NULL               -- JSON object
);
CREATE INDEX event_by_time ON event (at);
CREATE INDEX event_by_resource ON event (resource, id) WHERE resource IS NOT NULL;

-- The log of events is append-only. Retention moves its line first, and may then delete below it.
INSERT INTO meta (key, value) VALUES ('event_retention_line', '-9000000000000000000');
CREATE TRIGGER event_is_never_edited BEFORE UPDATE ON event
BEGIN
  SELECT RAISE(ABORT, 'the log of events is append-only');
END;
CREATE TRIGGER event_is_kept BEFORE DELETE ON event
WHEN OLD.at >= (SELECT CAST(value AS INTEGER) FROM meta WHERE key = 'event_retention_line')
BEGIN
  SELECT RAISE(ABORT, 'the log of events is append-only');
END;

-- A check that is confirmed not healthy; resolved when it is healthy again.
CREATE TABLE health_alerts (
  id            INTEGER PRIMARY KEY,
  resource_type TEXT NOT NULL,
  resource_id   TEXT NOT NULL,         -- kind/name
  alert_type    TEXT NOT NULL,         -- the check, with its instance in braces
  severity      TEXT NOT NULL,         -- warning, error, critical
  message       TEXT NOT NULL,
  timestamp     TEXT NOT NULL,         -- RFC 3339, UTC
  metadata      TEXT NOT NULL,         -- JSON object
  resolved      INTEGER NOT NULL DEFAULT 0,
  resolved_at   TEXT                   -- RFC 3339, UTC
);
CREATE UNIQUE INDEX health_alerts_open ON health_alerts (resource_id, alert_type) WHERE resolved = 0;
CREATE INDEX health_alerts_by_time ON health_alerts (timestamp);

-- The newest value of every series.
CREATE VIEW health_metrics AS
SELECT
  s.id                                                            AS id,
  r.kind                                                          AS resource_type,
  r.name                                                          AS resource_id,
  s.name                                                          AS metric_name,
  v.value                                                         AS value,
  s.threshold_warning                                             AS threshold_warning,
  s.threshold_critical                                            AS threshold_critical,
  strftime('%Y-%m-%dT%H:%M:%fZ', n.at / 1000.0, 'unixepoch')      AS timestamp,
  s.unit                                                          AS unit,
  coalesce(s.status, CASE
    WHEN s.threshold_warning IS NULL AND s.threshold_critical IS NULL THEN NULL
    -- Where critical lies below warning, low values are the bad ones.
    WHEN s.threshold_critical < s.threshold_warning THEN CASE
      WHEN v.value <= s.threshold_critical THEN 'critical'
      WHEN v.value <= s.threshold_warning THEN 'degraded'
      ELSE 'healthy' END
    WHEN v.value >= s.threshold_critical THEN 'critical'
    WHEN v.value >= s.threshold_warning THEN 'degraded'
    ELSE 'healthy'
  END)                                                            AS status
FROM newest n
JOIN resource r ON r.id = n.resource
JOIN json_each(n.readings) v
JOIN series s ON s.id = CAST(v.key AS INTEGER);
