-- The ledger that several processes ("nodes") share: accounts, holds, attempts. Times of windows and attempts are
-- microseconds since 1970, as callers' clocks tell them; those of nodes and holds are the database's own.

-- A process that works with the ledger; one that starts again is another node of the same name.
CREATE TABLE node (
    id    BIGINT      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name  TEXT        NOT NULL,
    began TIMESTAMPTZ NOT NULL DEFAULT now(),
    seen  TIMESTAMPTZ NOT NULL DEFAULT now(), -- its last sign of life
    ended TIMESTAMPTZ                         -- what it held then counts as spent
);

CREATE INDEX node_alive ON node (name) WHERE ended IS NULL;

-- An account in one window. What is held is the sum of its rows in `hold`.
CREATE TABLE account (
    id      BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    tenant  TEXT   NOT NULL,
    name    TEXT   NOT NULL,
    measure TEXT   NOT NULL,
    period  TEXT   NOT NULL,
    start   BIGINT NOT NULL,
    spent   BIGINT NOT NULL DEFAULT 0,
    held    BIGINT NOT NULL DEFAULT 0,
    UNIQUE (tenant, name, measure, period, start)
) WITH (fillfactor = 50); -- rows change all the time, and none of their indexed columns does

-- What a node holds on an account under a key. Closed ones are kept for a while, for charges that come late.
CREATE TABLE hold (
    node    BIGINT NOT NULL,
    key     TEXT   NOT NULL,
    account BIGINT NOT NULL,
    held    BIGINT NOT NULL,
    closed  TIMESTAMPTZ,
    PRIMARY KEY (key, node, account) -- by the key first: a node has many
);

CREATE INDEX hold_closed ON hold (closed) WHERE closed IS NOT NULL;

-- Ids begin with the time: a tenant's rows lie together, in the order in which they ended.
CREATE TABLE attempt (
    tenant   TEXT   NOT NULL,
    id       UUID   NOT NULL,
    call     UUID   NOT NULL,
    "user"   TEXT   NOT NULL,
    run      UUID,
    step     TEXT,
    agent    TEXT   NOT NULL,
    endpoint TEXT   NOT NULL,
    model    TEXT   NOT NULL,
    began    BIGINT NOT NULL,
    micros   BIGINT NOT NULL,
    usage    JSONB  NOT NULL,
    cost     BIGINT NOT NULL, -- nano-dollars
    failure  JSONB,
    purpose  TEXT,            -- none: for the caller
    key      TEXT,            -- the name of the caller's
    team     TEXT,
    tier     TEXT   NOT NULL,
    type     TEXT,            -- the task's
    tags     JSONB,
    asked    BIGINT,          -- the bound on the output that the caller asked for
    price    TEXT,            -- the version of the prices
    question BIGINT,          -- the same where the question is
    opening  BIGINT,          -- the same where the question's opening is
    PRIMARY KEY (tenant, id)
);

CREATE INDEX attempt_run ON attempt (run) WHERE run IS NOT NULL;
CREATE INDEX attempt_began ON attempt USING brin (began);

-- What nodes that died still held: it counts as spent, since nobody knows whether it was.
CREATE TABLE lost_hold (
    id       BIGINT      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at       TIMESTAMPTZ NOT NULL DEFAULT now(),
    node     BIGINT      NOT NULL,
    name     TEXT        NOT NULL, -- the node's
    key      TEXT        NOT NULL,
    account  BIGINT      NOT NULL,
    amount   BIGINT      NOT NULL,
    restored TIMESTAMPTZ           -- the node lived after all, and holds it again
);

CREATE INDEX lost_hold_node ON lost_hold (node) WHERE restored IS NULL;

-- What was said and must not be said again, such as that an account passed a part of its limit.
CREATE TABLE said (
    what TEXT   NOT NULL PRIMARY KEY,
    at   BIGINT NOT NULL
);

-- What every node must know, such as limits that were changed.
CREATE TABLE snapshot (
    part  TEXT  NOT NULL PRIMARY KEY,
    bytes BYTEA NOT NULL
);

-- Applies what a node has gathered, in one step: first attempts, then the ends of holds, then new and higher holds, each
-- of them whole or not at all. `batch` has `attempts` (rows of `attempt`, its `key` as `shown`, with what was `used` by measure, `place` in the batch, and `keys`: holds, with what is `moved` there from held to
-- spent, or as much as was used), `closes` (keys)
-- and `charges` (of holds: `hold` numbers them, `start` is the window's for an account that its key does not hold yet, `reach`
-- how far apart parts of a rolling window begin at most that count together; no account twice in a hold, no key in two holds). Gives what is spent and held on each charge's account after its hold; one that
-- refuses its hold has what it `needed`.
CREATE FUNCTION ledger_apply(me BIGINT, batch JSONB)
RETURNS TABLE (hold INT, charge INT, spent BIGINT, held BIGINT, needed BIGINT, start BIGINT)
LANGUAGE plpgsql
-- Planning anew costs more than any of these statements. Plans are kept from when the tables were small: whatever they
-- were then, rows are found by their keys.
SET plan_cache_mode = force_generic_plan SET enable_seqscan = off SET jit = off
AS $$
#variable_conflict use_column
DECLARE
    most     CONSTANT NUMERIC := 9223372036854775807;
    closes   CONSTANT TEXT[] := ARRAY(SELECT jsonb_array_elements_text(batch->'closes'));
    -- Of everything in the batch.
    known    CONSTANT TEXT[] := closes || ARRAY(
        SELECT k.key FROM jsonb_to_recordset(batch->'attempts') AS s (keys JSONB)
        CROSS JOIN LATERAL jsonb_to_recordset(s.keys) AS k (key TEXT)
        UNION SELECT c.key FROM jsonb_to_recordset(batch->'charges') AS c (key TEXT));
    -- One element for each charge, in the order of holds; an account is none where its hold is refused.
    holds    INT[];
    charges  INT[];
    keys     TEXT[];
    accounts BIGINT[];
    starts   BIGINT[];
    grows    BIGINT[];
    limits   BIGINT[];
    reaches  BIGINT[];
    places   INT[];
    -- What is spent, and that with what is held, by place: one for each account, with all parts of its window.
    spents   BIGINT[];
    sums     NUMERIC[];
    -- As is told of each charge.
    afters   NUMERIC[];
    needs    BIGINT[];
    i        INT := 1;
    j        INT;
    fits     BOOLEAN;
BEGIN
    -- A node that was taken for dead and lives gets its holds back first. The lock keeps it from dying meanwhile, and its
    -- next batch from overtaking one whose connection was lost.
    PERFORM FROM node n WHERE n.id = me AND n.ended IS NULL FOR NO KEY UPDATE;
    IF NOT FOUND THEN
        PERFORM ledger_revive(me);
    END IF;

    IF jsonb_array_length(batch->'charges') > 0 THEN
        INSERT INTO account (tenant, name, measure, period, start)
        SELECT DISTINCT c.tenant, c.name, c.measure, c.period, c.start
        FROM jsonb_to_recordset(batch->'charges')
            AS c (tenant TEXT, name TEXT, measure TEXT, period TEXT, start BIGINT)
        WHERE NOT EXISTS (
            SELECT FROM account a WHERE (a.tenant, a.name, a.measure, a.period, a.start)
                = (c.tenant, c.name, c.measure, c.period, c.start))
        ORDER BY 1, 2, 3, 4, 5
        ON CONFLICT DO NOTHING;
    END IF;

    -- Everybody locks accounts in the order of their ids, so that nobody waits for who waits for him.
    PERFORM FROM account a WHERE a.id = ANY (ARRAY(
        SELECT h.account FROM unnest(known) AS k (key) JOIN hold h ON h.node = me AND h.key = k.key
        UNION
        SELECT w.id FROM jsonb_to_recordset(batch->'charges')
            AS c (tenant TEXT, name TEXT, measure TEXT, period TEXT, start BIGINT)
        JOIN account w ON (w.tenant, w.name, w.measure, w.period, w.start)
            = (c.tenant, c.name, c.measure, c.period, c.start)
        UNION
        -- A hold that is raised may have begun a reach ago, and what counts with it another one before.
        SELECT w.id FROM jsonb_to_recordset(batch->'charges')
            AS c (tenant TEXT, name TEXT, measure TEXT, period TEXT, start BIGINT, reach BIGINT)
        JOIN account w ON (w.tenant, w.name, w.measure, w.period) = (c.tenant, c.name, c.measure, c.period)
            AND w.start BETWEEN c.start - 2 * c.reach AND c.start + c.reach
        WHERE c.reach > 0))
    ORDER BY a.id FOR NO KEY UPDATE;

    -- Attempts that are new move what they used from held to spent; what exceeds the hold is spent all the same.
    IF jsonb_array_length(batch->'attempts') > 0 THEN
        WITH sent AS (
            SELECT DISTINCT ON (s.tenant, s.id) s.*
            FROM jsonb_to_recordset(batch->'attempts') AS s (
                tenant TEXT, id UUID, call UUID, "user" TEXT, run UUID, step TEXT, agent TEXT, endpoint TEXT,
                model TEXT, began BIGINT, micros BIGINT, usage JSONB, cost BIGINT, failure JSONB, purpose TEXT,
                shown TEXT, team TEXT, tier TEXT, type TEXT, tags JSONB, asked BIGINT, price TEXT, question BIGINT, opening BIGINT,
                keys JSONB, used JSONB, place BIGINT)
            ORDER BY s.tenant, s.id, s.place
        ), fresh AS (
            INSERT INTO attempt
            SELECT tenant, id, call, "user", run, step, agent, endpoint, model, began, micros, usage, cost, failure,
                purpose, shown, team, tier, type, tags, asked, price, question, opening
            FROM sent
            ON CONFLICT DO NOTHING
            RETURNING attempt.tenant, attempt.id
        ), used AS (
            SELECT h.key, h.account, h.held, sum(u.amount) AS amount,
                least(h.held, sum(coalesce(k.moved, u.amount))) AS moved
            FROM sent s JOIN fresh USING (tenant, id)
            CROSS JOIN LATERAL jsonb_to_recordset(s.keys) AS k (key TEXT, moved BIGINT)
            JOIN hold h ON h.node = me AND h.key = k.key
            JOIN account a ON a.id = h.account
            CROSS JOIN LATERAL (SELECT coalesce((s.used->>a.measure)::BIGINT, 0)) AS u (amount)
            -- The hold of an agent that was passed over is not spent by the one that stands in for it.
            WHERE NOT starts_with(a.name, 'agent:') OR substr(a.name, 7) = s.agent
            GROUP BY h.key, h.account, h.held
        ), moved AS (
            UPDATE hold h SET held = h.held - u.moved
            FROM used u WHERE h.node = me AND h.key = u.key AND h.account = u.account AND u.moved > 0
        )
        UPDATE account a SET spent = least(a.spent + t.amount, most), held = greatest(a.held - t.moved, 0)
        FROM (
            SELECT u.account, sum(u.amount) AS amount, sum(u.moved) AS moved FROM used u GROUP BY 1
        ) t WHERE a.id = t.account;
    END IF;

    -- Holds that end give back what is left of them.
    IF cardinality(closes) > 0 THEN
        WITH open AS (
            SELECT h.key, h.account, h.held FROM hold h
            WHERE h.node = me AND h.key = ANY (closes) AND h.closed IS NULL
        ), closed AS (
            UPDATE hold h SET held = 0, closed = now()
            FROM open o WHERE h.node = me AND h.key = o.key AND h.account = o.account
        )
        UPDATE account a SET held = greatest(a.held - t.held, 0)
        FROM (SELECT o.account, sum(o.held) AS held FROM open o GROUP BY 1) t
        WHERE a.id = t.account AND t.held > 0;
    END IF;

    IF jsonb_array_length(batch->'charges') = 0 THEN
        RETURN;
    END IF;
    -- A hold that is open stays in the window in which it began. One that was closed begins anew.
    SELECT array_agg(c.hold), array_agg(c.charge), array_agg(c.key), array_agg(c.account), array_agg(c.start),
        array_agg(c.grows), array_agg(c.lim), array_agg(c.reach), array_agg(c.place)
    INTO holds, charges, keys, accounts, starts, grows, limits, reaches, places
    FROM (
        SELECT c.hold, c.charge, c.key, coalesce(o.account, a.id) AS account, coalesce(o.start, c.start) AS start,
            greatest(c.amount - coalesce(o.held, 0), 0) AS grows, c.lim, coalesce(c.reach, 0) AS reach,
            dense_rank() OVER (ORDER BY coalesce(f.oldest, o.account, a.id))::INT AS place
        FROM jsonb_to_recordset(batch->'charges') AS c (
            hold INT, charge INT, key TEXT, tenant TEXT, name TEXT, measure TEXT, period TEXT, start BIGINT,
            reach BIGINT, amount BIGINT, lim BIGINT)
        LEFT JOIN account a ON (a.tenant, a.name, a.measure, a.period, a.start)
            = (c.tenant, c.name, c.measure, c.period, c.start)
        LEFT JOIN LATERAL (
            SELECT h.account, h.held, w.start FROM hold h JOIN account w ON w.id = h.account
            WHERE h.node = me AND h.key = c.key AND h.closed IS NULL
                AND (w.tenant, w.name, w.measure, w.period) = (c.tenant, c.name, c.measure, c.period)
            LIMIT 1
        ) o ON TRUE
        -- All parts of one account share a place, whichever of them is held.
        LEFT JOIN LATERAL (
            SELECT w.id AS oldest FROM account w
            WHERE c.reach > 0 AND (w.tenant, w.name, w.measure, w.period) = (c.tenant, c.name, c.measure, c.period)
            ORDER BY w.start LIMIT 1
        ) f ON TRUE
        ORDER BY c.hold, c.charge
    ) c;
    SELECT array_agg(t.spent ORDER BY t.place), array_agg(t.sum ORDER BY t.place) INTO spents, sums
    FROM (
        WITH held AS (
            SELECT c.place, min(c.account) AS account, min(c.start) - max(c.reach) AS since,
                max(c.start) + max(c.reach) AS until, max(c.reach) AS reach
            FROM unnest(places, accounts, starts, reaches) AS c (place, account, start, reach) GROUP BY 1
        )
        SELECT p.place, a.spent, a.spent::NUMERIC + a.held AS sum
        FROM held p JOIN account a ON a.id = p.account WHERE p.reach = 0
        UNION ALL
        SELECT p.place, least(sum(w.spent), most)::BIGINT, sum(w.spent::NUMERIC + w.held)
        FROM held p JOIN account a ON a.id = p.account
        JOIN account w ON (w.tenant, w.name, w.measure, w.period) = (a.tenant, a.name, a.measure, a.period)
            AND w.start BETWEEN p.since AND p.until
        WHERE p.reach > 0 GROUP BY 1
    ) t;

    needs := array_fill(NULL::BIGINT, ARRAY[cardinality(holds)]);
    WHILE i <= cardinality(holds) LOOP
        j := i;
        fits := TRUE;
        WHILE j <= cardinality(holds) AND holds[j] = holds[i] LOOP
            IF fits AND grows[j] > 0 AND sums[places[j]] + grows[j] > limits[j] THEN
                fits := FALSE;
                needs[j] := grows[j];
            END IF;
            j := j + 1;
        END LOOP;
        WHILE i < j LOOP
            IF fits THEN
                sums[places[i]] := sums[places[i]] + grows[i];
            ELSE
                accounts[i] := NULL;
            END IF;
            afters[i] := sums[places[i]];
            i := i + 1;
        END LOOP;
    END LOOP;

    RETURN QUERY
    SELECT t.hold, t.charge, spents[t.place], least(t.after - spents[t.place], most)::BIGINT, t.needed, t.start
    FROM unnest(holds, charges, places, afters, needs, starts) AS t (hold, charge, place, after, needed, start);

    DELETE FROM hold h USING (SELECT DISTINCT k.key FROM unnest(keys, accounts) AS k (key, account)
        WHERE k.account IS NOT NULL) k
    WHERE h.node = me AND h.key = k.key AND h.closed IS NOT NULL;

    INSERT INTO hold AS h (node, key, account, held)
    SELECT me, c.key, c.account, c.grows FROM unnest(keys, accounts, grows) AS c (key, account, grows)
    WHERE c.account IS NOT NULL
    ON CONFLICT (key, node, account) DO UPDATE SET held = least(h.held::NUMERIC + excluded.held, most);

    UPDATE account a SET held = least(a.held + t.grows, most)
    FROM (
        SELECT c.account, sum(c.grows) AS grows FROM unnest(accounts, grows) AS c (account, grows) GROUP BY 1
    ) t WHERE a.id = t.account AND t.grows > 0;
END
$$;

-- Ends a node: what it holds counts as spent, and is written down. Gives that.
CREATE FUNCTION ledger_end(gone BIGINT)
RETURNS TABLE (node_name TEXT, key TEXT, tenant TEXT, account TEXT, measure TEXT, period TEXT, amount BIGINT)
LANGUAGE plpgsql AS $$
#variable_conflict use_column
BEGIN
    PERFORM FROM account a
    WHERE a.id IN (SELECT h.account FROM hold h WHERE h.node = gone AND h.closed IS NULL)
    ORDER BY a.id FOR NO KEY UPDATE;
    UPDATE node n SET ended = now() WHERE n.id = gone;
    RETURN QUERY
    WITH open AS (
        SELECT h.key, h.account, h.held FROM hold h WHERE h.node = gone AND h.closed IS NULL AND h.held > 0
    ), lost AS (
        INSERT INTO lost_hold (node, name, key, account, amount)
        SELECT gone, n.name, o.key, o.account, o.held FROM open o, node n WHERE n.id = gone
        RETURNING lost_hold.name AS node_name, lost_hold.key, lost_hold.account, lost_hold.amount
    ), emptied AS (
        UPDATE hold h SET held = 0 FROM open o WHERE h.node = gone AND h.key = o.key AND h.account = o.account
    ), spent AS (
        -- Calls that were under way are not any more.
        UPDATE account a SET held = greatest(a.held - t.held, 0),
            spent = least(a.spent + CASE a.measure WHEN 'concurrency' THEN 0 ELSE t.held END, 9223372036854775807)
        FROM (SELECT o.account, sum(o.held) AS held FROM open o GROUP BY 1) t WHERE a.id = t.account
    )
    SELECT l.node_name, l.key, a.tenant, a.name, a.measure, a.period, l.amount
    FROM lost l JOIN account a ON a.id = l.account;
END
$$;

-- Ends nodes that gave no sign of life for so long, or bear the name of one that has just begun.
CREATE FUNCTION ledger_end_dead(me BIGINT, patience DOUBLE PRECISION)
RETURNS TABLE (node_name TEXT, key TEXT, tenant TEXT, account TEXT, measure TEXT, period TEXT, amount BIGINT)
LANGUAGE plpgsql AS $$
DECLARE
    dead BIGINT[];
    gone BIGINT;
BEGIN
    -- The lock waits for no batch: a node that is sending one is alive.
    dead := ARRAY(
        SELECT n.id FROM node n
        WHERE n.id <> me AND n.ended IS NULL
            AND (n.seen < now() - make_interval(secs => patience)
                OR n.id < me AND n.name = (SELECT m.name FROM node m WHERE m.id = me))
        FOR UPDATE SKIP LOCKED);
    PERFORM FROM account a
    WHERE a.id IN (SELECT h.account FROM hold h WHERE h.node = ANY (dead) AND h.closed IS NULL)
    ORDER BY a.id FOR NO KEY UPDATE;
    FOREACH gone IN ARRAY dead LOOP
        RETURN QUERY SELECT * FROM ledger_end(gone);
    END LOOP;
END
$$;

-- A node that was taken for dead lives: what counted as spent is held again.
CREATE FUNCTION ledger_revive(me BIGINT) RETURNS VOID
LANGUAGE plpgsql AS $$
#variable_conflict use_column
BEGIN
    PERFORM FROM node n WHERE n.id = me FOR UPDATE;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'this node of the ledger is not known any more';
    END IF;
    PERFORM FROM account a
    WHERE a.id IN (SELECT l.account FROM lost_hold l WHERE l.node = me AND l.restored IS NULL)
    ORDER BY a.id FOR NO KEY UPDATE;
    WITH back AS (
        UPDATE lost_hold l SET restored = now() WHERE l.node = me AND l.restored IS NULL
        RETURNING l.key, l.account, l.amount
    ), held AS (
        UPDATE hold h SET held = h.held + b.amount
        FROM back b WHERE h.node = me AND h.key = b.key AND h.account = b.account
    )
    UPDATE account a SET spent = greatest(a.spent - t.amount, 0), held = least(a.held + t.amount, 9223372036854775807)
    FROM (SELECT b.account, sum(b.amount) AS amount FROM back b GROUP BY 1) t WHERE a.id = t.account;
    UPDATE node n SET ended = NULL, seen = now() WHERE n.id = me;
END
$$;

-- Forgets holds that ended ten minutes ago or whose node ended a month ago; and what is older than so many days, unless
-- that is 0: attempts, lost holds, windows that have ended. Not too much at once.
CREATE FUNCTION ledger_sweep(me BIGINT, days INT) RETURNS VOID
LANGUAGE plpgsql AS $$
DECLARE
    before CONSTANT BIGINT := extract(epoch FROM now() - make_interval(days => days))::BIGINT * 1000000;
    month  CONSTANT BIGINT := 32 * 86400000000;
BEGIN
    DELETE FROM hold h WHERE h.ctid = ANY (ARRAY(
        SELECT o.ctid FROM hold o WHERE o.closed < now() - interval '10 minutes' LIMIT 10000));
    DELETE FROM hold h USING node n WHERE n.id = h.node AND n.ended < now() - interval '30 days';
    DELETE FROM node n WHERE n.id <> me AND n.ended < now() - interval '30 days';
    IF days > 0 THEN
        DELETE FROM attempt a WHERE a.ctid = ANY (ARRAY(
            SELECT o.ctid FROM attempt o WHERE o.began < before LIMIT 10000));
        DELETE FROM said s WHERE s.at < before;
        DELETE FROM lost_hold l WHERE l.at < now() - make_interval(days => days);
        DELETE FROM account a WHERE a.id = ANY (ARRAY(
            SELECT o.id FROM account o
            WHERE o.period <> 'total' AND o.held = 0 AND o.start < before - month
                AND NOT EXISTS (SELECT FROM hold h WHERE h.account = o.id)
            LIMIT 10000)) AND a.held = 0;
        -- Parts of rolling windows are many: an hour after they count no more.
        DELETE FROM account a WHERE a.id = ANY (ARRAY(
            SELECT o.id FROM account o
            WHERE starts_with(o.period, 'rolling:') AND o.held = 0
                AND o.start < (extract(epoch FROM now())::BIGINT - 3600 - 2 * substring(o.period FROM '[0-9]+')::BIGINT
                    * CASE right(o.period, 1) WHEN 'd' THEN 86400 WHEN 'h' THEN 3600 WHEN 'm' THEN 60 ELSE 1 END) * 1000000
                AND NOT EXISTS (SELECT FROM hold h WHERE h.account = o.id)
            LIMIT 10000)) AND a.held = 0;
    END IF;
END
$$;
