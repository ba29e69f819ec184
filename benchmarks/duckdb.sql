-- DuckDB's formulations in parts; benchmarks/side_duckdb.py puts them together and fills in the braces.

-- part: back
-- Months before the target: its bit in a mask.
(({year} - year(month)) * 12 + {month} - month(month))

-- part: valid
month BETWEEN DATE '{first}' AND DATE '{target}' AND day(month) = 1
AND account_id IS NOT NULL AND account_id <> ''

-- part: packed
-- Orders rows as the rules do: no instant before any instant, and At Risk after the others of the same instant.
(coalesce(epoch_us(updated_at), -(1::BIGINT << 61)) * 2 + (status IS NOT DISTINCT FROM 'At Risk')::BIGINT)

-- part: attributes
account_id, account_name, account_region, arr, renewal_date, account_owner

-- part: latest
SELECT {attributes}, status FROM told QUALIFY row_number() OVER (
    PARTITION BY account_id ORDER BY
        updated_at DESC NULLS LAST, (status IS NOT DISTINCT FROM 'At Risk') DESC, arr DESC NULLS LAST,
        account_name NULLS LAST, account_region NULLS LAST, account_owner NULLS LAST, renewal_date NULLS LAST
) = 1

-- part: candidates
CREATE TEMP TABLE candidates AS
WITH risky AS MATERIALIZED (
    SELECT DISTINCT account_id FROM {source}
    WHERE month = DATE '{target}' AND status = 'At Risk' AND account_id IS NOT NULL AND account_id <> ''
), told AS (
    SELECT {attributes}, status, updated_at FROM {source} SEMI JOIN risky USING (account_id)
    WHERE month = DATE '{target}'
), latest AS ({latest})
SELECT {attributes} FROM latest WHERE status = 'At Risk' AND arr >= {threshold};

-- part: streaks
CREATE TEMP TABLE streaks AS
WITH account_months AS (
    SELECT account_id, {back} AS back, max({packed}) & 1 AS at_risk
    FROM {source} SEMI JOIN candidates USING (account_id)
    WHERE {valid} GROUP BY ALL
)
SELECT account_id, bit_or(at_risk::{mask} << back) AS at_risk FROM account_months GROUP BY account_id;

-- part: count_distinct
CREATE TEMP TABLE told_twice AS SELECT
    (SELECT count(*) FROM {source} WHERE {valid})
    - (SELECT count(*) FROM (SELECT DISTINCT account_id, month FROM {source} WHERE {valid})) AS duplicates;

-- part: count_bits
CREATE TEMP TABLE told_twice AS
SELECT sum(rows) - sum(bit_count(seen)) AS duplicates FROM (
    SELECT count(*) AS rows, bit_or(1::{mask} << {back}) AS seen FROM {source} WHERE {valid} GROUP BY account_id
);

-- part: masks
CREATE TEMP TABLE masks AS
SELECT account_id, count(*) AS rows,
    bit_or(CASE WHEN status = 'At Risk' THEN 1::{mask} << {back} ELSE 0 END) AS at_risk,
    bit_or(CASE WHEN status IS DISTINCT FROM 'At Risk' THEN 1::{mask} << {back} ELSE 0 END) AS other
FROM {source} WHERE {valid} GROUP BY account_id;
CREATE TEMP TABLE told_twice AS SELECT sum(rows) - sum(bit_count(at_risk | other)) AS duplicates FROM masks;
-- Only the months of the leading streak matter, and of those only the ones told both ways.
CREATE TEMP TABLE risky AS
SELECT account_id, at_risk, at_risk & other & (at_risk & ~(at_risk + 1)) AS doubtful
FROM masks WHERE at_risk & 1 = 1;

-- part: candidates_of_masks
CREATE TEMP TABLE candidates AS
WITH told AS (
    SELECT {attributes}, status, updated_at FROM {source} SEMI JOIN risky USING (account_id)
    WHERE month = DATE '{target}'
), latest AS ({latest})
SELECT {attributes} FROM latest WHERE status = 'At Risk' AND arr >= {threshold};

-- part: doubts
CREATE TEMP TABLE overruled AS
WITH doubtful AS MATERIALIZED (
    SELECT account_id, doubtful FROM risky SEMI JOIN candidates USING (account_id) WHERE doubtful > 1
), account_months AS (
    SELECT account_id, {back} AS back, max({packed}) & 1 AS at_risk
    FROM {source} JOIN doubtful USING (account_id)
    WHERE {valid} AND month < DATE '{target}' AND (doubtful >> {back}) & 1 = 1 GROUP BY ALL
)
SELECT account_id, bit_or((1 - at_risk)::{mask} << back) AS lost FROM account_months GROUP BY account_id;

-- part: streaks_of_masks
CREATE TEMP TABLE streaks AS
SELECT account_id, risky.at_risk & ~coalesce(lost, 0) AS at_risk
FROM risky SEMI JOIN candidates USING (account_id) LEFT JOIN overruled USING (account_id);

-- part: found
SELECT at_risk, {attributes} FROM candidates JOIN streaks USING (account_id);

-- part: oldest
-- From the footers' statistics alone.
SELECT min(month) FROM {source};
