-- What has been answered is settled and what leaves next is claimed, a batch each, in one transaction.
--
-- `|| ''` keeps SQLite from searching for the plain run_id or tenant_id through all rows that have it: measured
-- 15 times slower than by the ids alone, at 12,000 rows.

-- name: settle
-- An answer belongs to the claim under which its POST was made. An `ok` that comes late, after that claim was
-- given up for lost, is believed whatever has become of the row, unless it was claimed again; another late
-- answer changes nothing.
-- rows: alert_id text, claim integer, status text, error text, error_message text, http_status integer, retries integer, rate_limits integer, sent_at timestamptz, not_before timestamptz, settled_at timestamptz, slack_channel text, slack_ts text
UPDATE outbox
SET status = r.status, error = r.error, error_message = r.error_message, http_status = r.http_status,
    sent_at = r.sent_at, retries = r.retries, rate_limits = r.rate_limits, not_before = r.not_before,
    slack_channel = r.slack_channel, slack_ts = r.slack_ts, updated_at = r.settled_at
FROM {rows}
WHERE outbox.id = r.alert_id AND outbox.claims = r.claim AND outbox.tenant_id || '' = :tenant_id
  AND outbox.status <> 'sent' AND (outbox.status = 'sending' OR r.status = 'sent')
RETURNING outbox.id;

-- name: stands
-- An answer that changes nothing is in the ledger all the same where it was written before, in a transaction
-- whose end nobody heard.
-- rows: alert_id text, claim integer, status text
SELECT outbox.id FROM outbox, {rows}
WHERE outbox.id = r.alert_id AND outbox.claims = r.claim AND outbox.status = r.status
  AND outbox.tenant_id || '' = :tenant_id;

-- name: record_attempts
-- rows: alert_id text, claim integer, claimed_at timestamptz, settled_at timestamptz, http_status integer, retry_after_s double precision, status text, error text, error_message text, posted boolean
INSERT INTO attempts (alert_id, claim, run_id, claimed_at, settled_at, http_status, retry_after_s,
                      status, error, error_message)
SELECT r.alert_id, r.claim, :run_id, r.claimed_at, r.settled_at, r.http_status, r.retry_after_s,
       r.status, r.error, r.error_message
FROM {rows} WHERE r.posted
ON CONFLICT (alert_id, claim) DO UPDATE
SET settled_at = excluded.settled_at, http_status = excluded.http_status, status = excluded.status,
    error = NULL, error_message = NULL
WHERE excluded.status = 'sent';

-- name: claim
-- rows: id text, claims integer
UPDATE outbox
SET status = 'sending', claims = outbox.claims + 1, claimed_at = :now, updated_at = :now
FROM {rows}
WHERE outbox.id = r.id AND outbox.claims = r.claims
  AND outbox.run_id || '' = :run_id AND outbox.tenant_id || '' = :tenant_id
  AND outbox.status = 'pending'
RETURNING outbox.id;

-- name: undelivered
-- In the words of the index over what is open: SQLite uses it for no others.
SELECT status, count(*) AS alerts FROM outbox
WHERE tenant_id = :tenant_id AND status IN ('pending', 'sending', 'failed', 'unknown') GROUP BY status;
