-- CROSS JOIN: SQLite keeps this order and looks each row up by an index; else it reads the batch for each row
-- of the table.

-- name: companies_by_symbol
-- A CROSS JOIN, since SQLite then looks up each row of the batch, and not the batch for each company.
-- rows: symbol text
SELECT c.symbol, c.id
FROM {rows} CROSS JOIN companies c
WHERE c.symbol = r.symbol AND c.organization_id = :organization_id AND c.deleted_at IS NULL;

-- name: taken_periods
-- rows: company_id text, year integer, quarter integer
SELECT p.company_id, p.reporting_year, p.reporting_quarter, p.id
FROM {rows} CROSS JOIN predictions p
WHERE p.company_id = r.company_id AND p.reporting_year = r.year AND p.reporting_quarter = r.quarter
    AND p.kind = :kind AND p.model_sha256 = :model_sha256 AND p.is_newest AND p.deleted_at IS NULL;
