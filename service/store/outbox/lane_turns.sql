-- name: advance
-- rows: lane text, next_turn double precision
INSERT INTO lanes (lane, next_turn) SELECT r.lane, r.next_turn FROM {rows} WHERE true
ON CONFLICT (lane) DO UPDATE SET next_turn = excluded.next_turn;

-- name: pause
-- A longer pause stays as it is, unless it ends further ahead than it was long: the clock was put back.
-- rows: lane text, pause_s double precision
INSERT INTO lanes (lane, paused_until, pause_s)
SELECT r.lane, {clock} + max(r.pause_s), max(r.pause_s) FROM {rows} GROUP BY r.lane
ON CONFLICT (lane) DO UPDATE SET paused_until = excluded.paused_until, pause_s = excluded.pause_s
WHERE lanes.paused_until < excluded.paused_until OR lanes.paused_until > {clock} + lanes.pause_s + :slack_s;

-- name: is_paused
SELECT EXISTS (SELECT 1 FROM lanes WHERE lane = :lane AND paused_until > {clock}
    AND paused_until <= {clock} + pause_s + :slack_s);

-- name: renew (sqlite)
-- The lanes are looked up here because this statement is made anyway: one more for each claim would cost a
-- tenth of the alerts that leave in a second where there is no pace.
UPDATE runs
SET expires_at = {clock} + :lease_s,
    delivery_left_s = CASE WHEN delivery_left_s < :left_s THEN delivery_left_s ELSE :left_s END
WHERE run_id = :run_id AND tenant_id = :tenant_id AND status = 'running' AND epoch = :epoch AND cancelled_at IS NULL
RETURNING {clock} AS now, delivery_left_s,
    (SELECT json_group_array(json_array(lane, next_turn, paused_until, pause_s)) FROM lanes
     WHERE lane IN (SELECT value FROM json_each(:lanes))) AS lanes;

-- name: renew (postgresql)
UPDATE runs
SET expires_at = {clock} + :lease_s,
    delivery_left_s = CASE WHEN delivery_left_s < :left_s THEN delivery_left_s ELSE :left_s END
WHERE run_id = :run_id AND tenant_id = :tenant_id AND status = 'running' AND epoch = :epoch AND cancelled_at IS NULL
RETURNING {clock} AS now, delivery_left_s,
    (SELECT json_agg(json_build_array(lane, next_turn, paused_until, pause_s))::text FROM lanes
     WHERE lane IN (SELECT json_array_elements_text(CAST(:lanes AS json)))) AS lanes;
