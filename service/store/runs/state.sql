-- name: close_outcomes
-- Every outcome of a run that the outbox knows; what it does not is unsent.
UPDATE run_outcomes SET
    outcome = CASE a.status WHEN 'sent' THEN 'sent' WHEN 'failed' THEN 'failed'
                            WHEN 'unknown' THEN 'unknown' ELSE 'unsent' END,
    reason = CASE a.status WHEN 'sent' THEN NULL ELSE a.error END,
    error_message = CASE a.status WHEN 'sent' THEN NULL ELSE a.error_message END,
    http_status = a.http_status,
    attempts = (SELECT count(*) FROM attempts t WHERE t.alert_id = a.id AND t.run_id = :run_id)
FROM outbox a
WHERE run_outcomes.run_id = :run_id AND run_outcomes.outcome = 'pending' AND a.id = run_outcomes.alert_id;

-- name: record_lost_attempts
-- The POSTs that were on their way when the run ended: nobody saw their answers.
INSERT INTO attempts (alert_id, claim, run_id, claimed_at, settled_at, status, error, error_message)
SELECT id, claims, run_id, claimed_at, :now, 'unknown', 'interrupted', :message
FROM outbox WHERE tenant_id = :tenant_id AND run_id = :run_id AND status = 'sending';
