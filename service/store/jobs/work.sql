-- name: add_rows
-- What became of some rows of a job.
-- rows: number bigint, outcome text, company_symbol text, prediction_id text, problem text
INSERT INTO job_rows (job_id, tenant_id, number, outcome, company_symbol, prediction_id, problem)
SELECT :job_id, :tenant_id, r.number, r.outcome, r.company_symbol, r.prediction_id, r.problem FROM {rows};
