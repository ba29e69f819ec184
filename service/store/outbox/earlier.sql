-- name: earlier
-- rows: id text
SELECT o.id, e.period, e.slack_channel, e.slack_ts
FROM {rows} JOIN outbox o ON o.id = r.id JOIN outbox e ON e.id = (
    SELECT f.id FROM outbox f
    WHERE f.tenant_id = o.tenant_id AND f.alert_type = o.alert_type AND f.subject = o.subject
      AND f.period < o.period AND f.slack_ts IS NOT NULL
    ORDER BY f.period DESC LIMIT 1)
WHERE o.tenant_id || '' = :tenant_id;
