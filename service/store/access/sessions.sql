-- name: holder
-- Whose an access token is, at every request that has one: an active person, whose log-in nobody has ended.
SELECT u.id, u.tenant_id, u.organization_id, u.role
FROM users u
JOIN tenants t ON t.id = u.tenant_id
LEFT JOIN organizations o ON o.id = u.organization_id
WHERE u.id = :user_id AND u.is_active AND t.is_active AND (u.organization_id IS NULL OR o.is_active)
  AND EXISTS (
    SELECT 1 FROM refresh_tokens r
    WHERE r.family_id = :family_id AND r.user_id = u.id AND r.revoked_at IS NULL
  );
