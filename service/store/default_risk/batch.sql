-- name: companies_by_symbol
-- rows: symbol text
SELECT c.symbol, c.id
FROM {rows} JOIN companies c ON c.symbol = r.symbol
WHERE c.organization_id = :organization_id AND c.deleted_at IS NULL;

-- name: taken_periods
-- rows: company_id text, year integer, quarter integer
SELECT p.company_id, p.reporting_year, p.reporting_quarter, p.id
FROM {rows} JOIN predictions p
    ON p.company_id = r.company_id AND p.reporting_year = r.year AND p.reporting_quarter = r.quarter
WHERE p.kind = :kind AND p.model_sha256 = :model_sha256 AND p.is_newest AND p.deleted_at IS NULL;
