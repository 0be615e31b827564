-- The latest state of parts of the process, for its next start.
CREATE TABLE snapshot (
    part  TEXT NOT NULL PRIMARY KEY,
    bytes BLOB NOT NULL
) STRICT;
