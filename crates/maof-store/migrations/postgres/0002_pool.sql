-- What nodes share by way of Redis. A *generation* is a node that nobody is: the holds of the pool, and of the slices that
-- its members took from it, are in its name. Redis only says which part of them nobody has taken. See docs/adr/0018.

-- This ledger's name in a Redis that several use: one row. Who joins or leaves a generation locks it.
CREATE TABLE pool (
    id UUID NOT NULL DEFAULT gen_random_uuid()
);
INSERT INTO pool DEFAULT VALUES;

CREATE TABLE generation (
    node BIGINT  PRIMARY KEY REFERENCES node (id) ON DELETE CASCADE,
    run  TEXT    NOT NULL,              -- the `run_id` of the Redis that has its pool; empty: none has
    over BOOLEAN NOT NULL DEFAULT FALSE -- its last member left: nobody joins it any more
);

-- Who may have a slice of it.
CREATE TABLE member (
    generation BIGINT NOT NULL REFERENCES generation (node) ON DELETE CASCADE,
    node       BIGINT NOT NULL REFERENCES node (id) ON DELETE CASCADE,
    PRIMARY KEY (generation, node)
);

-- As `ledger_apply`, but holds grow by their amounts: nobody knows what the others have just spent of them.
CREATE FUNCTION ledger_share(g BIGINT, batch JSONB)
RETURNS TABLE (hold INT, charge INT, spent BIGINT, held BIGINT, needed BIGINT, start BIGINT)
LANGUAGE plpgsql AS $$
#variable_conflict use_column
BEGIN
    -- It locks the generation's row: until the end nobody else changes its holds.
    PERFORM ledger_apply(g, jsonb_set(batch, '{charges}', '[]'));
    IF jsonb_array_length(batch->'charges') = 0 THEN
        RETURN;
    END IF;
    RETURN QUERY SELECT * FROM ledger_apply(g, jsonb_build_object(
        'attempts', '[]'::JSONB, 'closes', '[]'::JSONB,
        'charges', (
            SELECT jsonb_agg(c.one || jsonb_build_object('amount', least(
                (c.one->>'amount')::NUMERIC + coalesce((
                    SELECT sum(h.held) FROM hold h JOIN account a ON a.id = h.account
                    WHERE h.node = g AND h.key = c.one->>'key' AND h.closed IS NULL
                        AND (a.tenant, a.name, a.measure, a.period)
                            = (c.one->>'tenant', c.one->>'name', c.one->>'measure', c.one->>'period')
                ), 0), 9223372036854775807)))
            FROM jsonb_array_elements(batch->'charges') AS c (one)
        )));
END
$$;

-- Gives back parts of a generation's holds. One that has nothing left is closed.
CREATE FUNCTION ledger_release(g BIGINT, keys TEXT[], amounts BIGINT[]) RETURNS VOID
LANGUAGE plpgsql AS $$
BEGIN
    PERFORM FROM node n WHERE n.id = g AND n.ended IS NULL FOR NO KEY UPDATE;
    IF NOT FOUND THEN
        PERFORM ledger_revive(g);
    END IF;
    PERFORM FROM account a
    WHERE a.id IN (SELECT h.account FROM hold h WHERE h.node = g AND h.key = ANY (keys))
    ORDER BY a.id FOR NO KEY UPDATE;
    WITH given AS (
        SELECT h.key, h.account, least(h.held, sum(t.amount))::BIGINT AS amount
        FROM unnest(keys, amounts) AS t (key, amount)
        JOIN hold h ON h.node = g AND h.key = t.key AND h.closed IS NULL
        GROUP BY h.key, h.account, h.held
    ), back AS (
        UPDATE hold h SET held = h.held - v.amount, closed = CASE WHEN h.held = v.amount THEN now() END
        FROM given v WHERE h.node = g AND h.key = v.key AND h.account = v.account
    )
    UPDATE account a SET held = greatest(a.held - t.amount, 0)
    FROM (SELECT v.account, sum(v.amount) AS amount FROM given v GROUP BY 1) t WHERE a.id = t.account;
END
$$;

-- Makes a node a member of a generation of this run that is newer than one it knows: of the newest, or of a new one where
-- there is none that is as it should be.
CREATE FUNCTION generation_next(me BIGINT, known BIGINT, of_run TEXT, OUT id BIGINT, OUT made BOOLEAN)
LANGUAGE plpgsql AS $$
BEGIN
    PERFORM FROM pool FOR UPDATE;
    SELECT g.node INTO id FROM generation g JOIN node n ON n.id = g.node
    WHERE g.node > known AND g.run = of_run AND NOT g.over AND n.ended IS NULL AND NOT EXISTS (
        SELECT FROM member m JOIN node w ON w.id = m.node WHERE m.generation = g.node AND w.ended IS NOT NULL)
    ORDER BY g.node DESC LIMIT 1;
    made := id IS NULL;
    IF made THEN
        -- No node can be called so: names have no bar.
        INSERT INTO node (name) VALUES ('|pool') RETURNING node.id INTO id;
        INSERT INTO generation (node, run) VALUES (id, of_run);
    END IF;
    INSERT INTO member (generation, node) VALUES (id, me) ON CONFLICT DO NOTHING;
END
$$;

-- A member leaves, `clean` if its calls hold nothing. The last one ends the generation: what it holds is given back if all
-- left clean; otherwise somebody died, and it counts as spent. Gives that.
CREATE FUNCTION generation_leave(g BIGINT, me BIGINT, clean BOOLEAN)
RETURNS TABLE (node_name TEXT, key TEXT, tenant TEXT, account TEXT, measure TEXT, period TEXT, amount BIGINT)
LANGUAGE plpgsql AS $$
#variable_conflict use_column
BEGIN
    PERFORM FROM pool FOR UPDATE;
    IF clean THEN
        DELETE FROM member m WHERE m.generation = g AND m.node = me;
    END IF;
    IF EXISTS (
        SELECT FROM member m JOIN node n ON n.id = m.node
        WHERE m.generation = g AND m.node <> me AND n.ended IS NULL
    ) THEN
        RETURN;
    END IF;
    UPDATE generation v SET over = TRUE WHERE v.node = g;
    PERFORM FROM node n WHERE n.id = g FOR UPDATE;
    IF EXISTS (SELECT FROM member m WHERE m.generation = g) THEN
        RETURN QUERY SELECT * FROM ledger_end(g);
        RETURN;
    END IF;
    -- Somebody was taken for dead, and has left in order after all: what counted as spent comes back first.
    PERFORM FROM node n WHERE n.id = g AND n.ended IS NULL;
    IF NOT FOUND THEN
        PERFORM ledger_revive(g);
    END IF;
    PERFORM FROM account a
    WHERE a.id IN (SELECT h.account FROM hold h WHERE h.node = g AND h.closed IS NULL)
    ORDER BY a.id FOR NO KEY UPDATE;
    WITH open AS (
        SELECT h.key, h.account, h.held FROM hold h WHERE h.node = g AND h.closed IS NULL
    ), closed AS (
        UPDATE hold h SET held = 0, closed = now()
        FROM open o WHERE h.node = g AND h.key = o.key AND h.account = o.account
    )
    UPDATE account a SET held = greatest(a.held - t.held, 0)
    FROM (SELECT o.account, sum(o.held) AS held FROM open o GROUP BY 1) t WHERE a.id = t.account;
    UPDATE node n SET ended = now() WHERE n.id = g AND n.ended IS NULL;
END
$$;

-- Ends generations whose members all died: what they hold counts as spent. Gives that.
CREATE FUNCTION generation_end_dead()
RETURNS TABLE (node_name TEXT, key TEXT, tenant TEXT, account TEXT, measure TEXT, period TEXT, amount BIGINT)
LANGUAGE plpgsql AS $$
DECLARE
    gone BIGINT;
BEGIN
    PERFORM FROM pool FOR UPDATE;
    FOR gone IN
        SELECT g.node FROM generation g WHERE NOT g.over AND NOT EXISTS (
            SELECT FROM member m JOIN node n ON n.id = m.node WHERE m.generation = g.node AND n.ended IS NULL)
    LOOP
        UPDATE generation v SET over = TRUE WHERE v.node = gone;
        PERFORM FROM node n WHERE n.id = gone FOR UPDATE;
        RETURN QUERY SELECT * FROM ledger_end(gone);
    END LOOP;
END
$$;
