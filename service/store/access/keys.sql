-- name: find
-- A key, if its tenant is one that people are let in of. The secret's hash is compared by the caller.
SELECT k.tenant_id, k.secret_hash, k.scopes,
       k.last_used_at IS NULL OR k.last_used_at < :minute_ago AS was_not_just_used
FROM api_keys k JOIN tenants t ON t.id = k.tenant_id
WHERE k.id = :id AND t.is_active AND k.revoked_at IS NULL AND (k.expires_at IS NULL OR k.expires_at > :now);

-- name: touch
-- Several requests may have seen that it was due: one of them writes.
UPDATE api_keys SET last_used_at = :now
WHERE id = :id AND (last_used_at IS NULL OR last_used_at < :minute_ago);
