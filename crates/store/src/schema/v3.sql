-- How an open frame's readings are packed. 0: one float per column, 8 bytes each, little-endian.
-- 1: packed, alone. 2: packed, as the difference to the row of the same resource before it, by id.
ALTER TABLE open_frame ADD COLUMN form INTEGER NOT NULL DEFAULT 0;
