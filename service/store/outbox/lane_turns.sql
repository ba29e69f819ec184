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
