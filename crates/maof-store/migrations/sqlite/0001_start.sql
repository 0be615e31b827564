-- Runs, their journals, the ledger, the audit trail. Times are microseconds since 1970; ids are 16 bytes.

CREATE TABLE run (
    id              BLOB    NOT NULL PRIMARY KEY,
    tenant          TEXT    NOT NULL,
    workflow        TEXT    NOT NULL,
    version         TEXT    NOT NULL,
    state           INTEGER NOT NULL, -- 0 queued, 1 running, 2 completed, 3 failed, 4 cancelled
    priority        INTEGER NOT NULL,
    place           INTEGER NOT NULL, -- lower goes first; fair among tenants
    claims          INTEGER NOT NULL DEFAULT 0,
    fence           INTEGER NOT NULL DEFAULT 0,
    seq             INTEGER NOT NULL,
    cancel          INTEGER NOT NULL DEFAULT 0,
    owner           TEXT,
    lease_until     INTEGER NOT NULL DEFAULT 0,
    created         INTEGER NOT NULL,
    updated         INTEGER NOT NULL,
    idempotency_key TEXT,
    failure         TEXT
) STRICT, WITHOUT ROWID;

CREATE INDEX run_queue ON run (place) WHERE state = 0;
CREATE INDEX run_lease ON run (lease_until) WHERE state = 1;
CREATE INDEX run_tenant ON run (tenant, id);
CREATE UNIQUE INDEX run_key ON run (tenant, idempotency_key) WHERE idempotency_key IS NOT NULL;

-- What is large and seldom read lies beside, so that the queue stays small.
CREATE TABLE content (
    run    BLOB NOT NULL PRIMARY KEY,
    task   TEXT NOT NULL,
    result TEXT
) STRICT;

CREATE TABLE journal (
    run BLOB    NOT NULL,
    seq INTEGER NOT NULL,
    at  INTEGER NOT NULL,
    rec BLOB    NOT NULL,
    PRIMARY KEY (run, seq)
) STRICT, WITHOUT ROWID;

CREATE TABLE account (
    tenant   TEXT    NOT NULL,
    name     TEXT    NOT NULL,
    measure  TEXT    NOT NULL,
    period   TEXT    NOT NULL,
    start    INTEGER NOT NULL,
    spent    INTEGER NOT NULL,
    promised INTEGER NOT NULL, -- what batched holds may spend beyond that; counts as spent if the process dies
    PRIMARY KEY (tenant, name, measure, period, start)
) STRICT, WITHOUT ROWID;

-- Strict holds that are open: an array of {account, start, held}.
CREATE TABLE hold (
    key   TEXT NOT NULL PRIMARY KEY,
    lines TEXT NOT NULL
) STRICT, WITHOUT ROWID;

-- What a process that died may have spent: it counts as spent, since nobody knows whether it was.
CREATE TABLE lost_hold (
    id      INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    at      INTEGER NOT NULL,
    key     TEXT, -- of a strict hold; none for what was promised to batched ones
    tenant  TEXT    NOT NULL,
    name    TEXT    NOT NULL,
    measure TEXT    NOT NULL,
    period  TEXT    NOT NULL,
    start   INTEGER NOT NULL,
    amount  INTEGER NOT NULL
) STRICT;

-- Ids begin with the time: a tenant's rows lie together, in the order in which they ended.
CREATE TABLE attempt (
    tenant   TEXT    NOT NULL,
    id       BLOB    NOT NULL,
    call     BLOB    NOT NULL,
    user     TEXT    NOT NULL,
    run      BLOB,
    step     TEXT,
    agent    TEXT    NOT NULL,
    endpoint TEXT    NOT NULL,
    model    TEXT    NOT NULL,
    began    INTEGER NOT NULL,
    micros   INTEGER NOT NULL,
    usage    TEXT    NOT NULL, -- JSON
    cost     INTEGER NOT NULL, -- nano-dollars
    failure  TEXT,             -- JSON
    purpose  TEXT,             -- none: for the caller
    key      TEXT,             -- the name of the caller's
    team     TEXT,
    tier     TEXT    NOT NULL,
    type     TEXT,             -- the task's
    tags     TEXT,             -- JSON
    asked    INTEGER,          -- the bound on the output that the caller asked for
    price    TEXT,             -- the version of the prices
    question INTEGER,          -- the same where the question is
    opening  INTEGER,          -- the same where the question's opening is
    PRIMARY KEY (tenant, id)
) STRICT, WITHOUT ROWID;

CREATE INDEX attempt_run ON attempt (run) WHERE run IS NOT NULL;

CREATE TABLE audit (
    id      INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    at      INTEGER NOT NULL,
    tenant  TEXT    NOT NULL,
    user    TEXT    NOT NULL,
    action  TEXT    NOT NULL,
    subject TEXT    NOT NULL,
    outcome TEXT    NOT NULL
) STRICT;

CREATE INDEX audit_tenant ON audit (tenant, id);

-- What was said and must not be said again, such as that an account passed a part of its limit.
CREATE TABLE said (
    what TEXT    NOT NULL PRIMARY KEY,
    at   INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
