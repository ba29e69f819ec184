-- What messages are to show, noted in the transaction of what has become of their alerts.

-- name: note_changes
-- A message that is yet to be sent, or of which nobody knows whether it was, may stand in Slack by the time
-- that somebody looks. A pause that Slack has asked for stays.
-- rows: alert_id text
INSERT INTO message_updates (occurrence_id, tenant_id, change, status, changed_at, tries)
SELECT outbox.id, outbox.tenant_id, 1, 'due', :now, 0
FROM {rows} JOIN outbox ON outbox.alert_id = r.alert_id
WHERE outbox.tenant_id || '' = :tenant_id
  AND (outbox.slack_ts IS NOT NULL OR outbox.status IN ('pending', 'sending', 'failed', 'unknown'))
ON CONFLICT (occurrence_id) DO UPDATE
SET change = message_updates.change + 1, status = 'due', changed_at = excluded.changed_at, tries = 0,
    error = NULL, error_message = NULL;

-- name: note_facts
-- Null are those that it was sent with, or is about to be.
-- rows: occurrence_id text, facts text
INSERT INTO message_updates (occurrence_id, tenant_id, change, status, facts, changed_at, tries)
SELECT outbox.id, outbox.tenant_id, 1, 'due', r.facts, :now, 0
FROM {rows} JOIN outbox ON outbox.id = r.occurrence_id
WHERE outbox.tenant_id || '' = :tenant_id AND (outbox.slack_ts IS NOT NULL OR outbox.status = 'pending')
ON CONFLICT (occurrence_id) DO UPDATE
SET change = message_updates.change + 1, status = 'due', facts = excluded.facts,
    changed_at = excluded.changed_at, tries = 0, error = NULL, error_message = NULL;
