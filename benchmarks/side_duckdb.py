"""DuckDB's side, in the best formulations that were found; the benchmark keeps the fastest on each file.

All of them are exact on any file of the schema: deduplicated by latest `updated_at` before status and ARR are
looked at, a null instant losing, At Risk winning a tie.

- `distinct`: candidates first, then the history of the candidates alone (a semi-join), and the duplicates as rows
  less distinct accounts and months. What most people would write who know DuckDB well.
- `seen mask`: the same, but the duplicates from one bit a month: one group an account, not one an account month.
- `masks`: one scan folds every account into three numbers (rows, months seen At Risk, months seen otherwise). A
  month that was told only one way needs no deduplication, so `updated_at` is read again only for the few months
  that were told both ways inside a streak, and attributes only for accounts that may alert.

Tried and slower everywhere: `count(DISTINCT (account_id, month))`, `GROUP BY account_id, month`, distinct accounts
month by month, ids mapped to integers by a join, `arg_max` of a struct instead of the window, a mask of the account
months in the semi-joined scan alone; and one join for both later reads of `masks`, which needs 3.7 GB.
"""

from datetime import date
from typing import Any, Final

from benchmarks.side import Answer, Question, Work, alert_row, in_order, streak

FORMULATIONS: Final = ("distinct", "seen mask", "masks")

# `month` walks back from the target as bit 0. The packed key orders rows as the rules do: empty < null < instant,
# and At Risk after the others of the same instant.
_BACK: Final = "(({year} - year(month)) * 12 + {month} - month(month))"
_VALID: Final = """
    month BETWEEN DATE '{first}' AND DATE '{target}' AND day(month) = 1
    AND account_id IS NOT NULL AND account_id <> ''
"""
_PACKED: Final = """
    (coalesce(epoch_us(updated_at), -(1::BIGINT << 61)) * 2 + (status IS NOT DISTINCT FROM 'At Risk')::BIGINT)
"""
_WINNER: Final = """
    row_number() OVER (PARTITION BY account_id ORDER BY
        updated_at DESC NULLS LAST, (status IS NOT DISTINCT FROM 'At Risk') DESC, arr DESC NULLS LAST,
        account_name NULLS LAST, account_region NULLS LAST, account_owner NULLS LAST, renewal_date NULLS LAST
    ) = 1
"""
_ATTRIBUTES: Final = "account_id, account_name, account_region, arr, renewal_date, account_owner"

_CANDIDATES: Final = f"""
CREATE TEMP TABLE candidates AS
WITH risky AS MATERIALIZED (
    SELECT DISTINCT account_id FROM {{source}} WHERE month = DATE '{{target}}' AND status = 'At Risk'
        AND account_id IS NOT NULL AND account_id <> ''
), told AS (
    SELECT {_ATTRIBUTES}, status, updated_at FROM {{source}} SEMI JOIN risky USING (account_id)
    WHERE month = DATE '{{target}}'
), latest AS (SELECT * FROM told QUALIFY {_WINNER})
SELECT {_ATTRIBUTES} FROM latest WHERE status = 'At Risk' AND arr >= {{threshold}};
"""
_STREAKS: Final = f"""
CREATE TEMP TABLE streaks AS
WITH account_months AS (
    SELECT account_id, {_BACK} AS back, max({_PACKED}) & 1 AS at_risk
    FROM {{source}} SEMI JOIN candidates USING (account_id)
    WHERE {_VALID} GROUP BY ALL
)
SELECT account_id, bit_or(at_risk::{{mask}} << back) AS at_risk FROM account_months GROUP BY account_id;
"""
_COUNT_DISTINCT: Final = f"""
CREATE TEMP TABLE told_twice AS SELECT
    (SELECT count(*) FROM {{source}} WHERE {_VALID})
    - (SELECT count(*) FROM (SELECT DISTINCT account_id, month FROM {{source}} WHERE {_VALID})) AS duplicates;
"""
_COUNT_BITS: Final = f"""
CREATE TEMP TABLE told_twice AS SELECT sum(rows) - sum(bit_count(seen)) AS duplicates FROM (
    SELECT count(*) AS rows, bit_or(1::{{mask}} << {_BACK}) AS seen FROM {{source}} WHERE {_VALID} GROUP BY account_id
);
"""
_MASKS: Final = f"""
CREATE TEMP TABLE masks AS
SELECT account_id, count(*) AS rows,
    bit_or(CASE WHEN status = 'At Risk' THEN 1::{{mask}} << {_BACK} ELSE 0 END) AS at_risk,
    bit_or(CASE WHEN status IS DISTINCT FROM 'At Risk' THEN 1::{{mask}} << {_BACK} ELSE 0 END) AS other
FROM {{source}} WHERE {_VALID} GROUP BY account_id;
CREATE TEMP TABLE told_twice AS SELECT sum(rows) - sum(bit_count(at_risk | other)) AS duplicates FROM masks;
-- Only the months of the leading streak matter, and of those only the ones told both ways.
CREATE TEMP TABLE risky AS
SELECT account_id, at_risk, at_risk & other & (at_risk & ~(at_risk + 1)) AS doubtful
FROM masks WHERE at_risk & 1 = 1;
"""
_DOUBTS: Final = f"""
CREATE TEMP TABLE candidates AS
WITH told AS (
    SELECT {_ATTRIBUTES}, status, updated_at FROM {{source}} SEMI JOIN risky USING (account_id)
    WHERE month = DATE '{{target}}'
), latest AS (SELECT * FROM told QUALIFY {_WINNER})
SELECT {_ATTRIBUTES} FROM latest WHERE status = 'At Risk' AND arr >= {{threshold}};
CREATE TEMP TABLE overruled AS
WITH doubtful AS MATERIALIZED (
    SELECT account_id, doubtful FROM risky SEMI JOIN candidates USING (account_id) WHERE doubtful > 1
), account_months AS (
    SELECT account_id, {_BACK} AS back, max({_PACKED}) & 1 AS at_risk
    FROM {{source}} JOIN doubtful USING (account_id)
    WHERE {_VALID} AND month < DATE '{{target}}' AND (doubtful >> {_BACK}) & 1 = 1 GROUP BY ALL
)
SELECT account_id, bit_or((1 - at_risk)::{{mask}} << back) AS lost FROM account_months GROUP BY account_id;
"""
_STREAKS_OF_MASKS: Final = """
CREATE TEMP TABLE streaks AS
SELECT account_id, risky.at_risk & ~coalesce(lost, 0) AS at_risk
FROM risky SEMI JOIN candidates USING (account_id) LEFT JOIN overruled USING (account_id);
"""
_SCRIPTS: Final = {
    "distinct": _CANDIDATES + _STREAKS + _COUNT_DISTINCT,
    "seen mask": _CANDIDATES + _STREAKS + _COUNT_BITS,
    "masks": _MASKS + _DOUBTS + _STREAKS_OF_MASKS,
}


def script(question: Question, formulation: str, months: int) -> str:
    """Return the SQL for files of so many months: a mask of 64 bits where it will do, else of 128."""
    source = str(question.source)
    return (
        _SCRIPTS[formulation]
        .replace("{year}", str(question.month.year))
        .replace("{month}", str(question.month.month))
        .replace("{first}", question.first_month.isoformat())
        .replace("{target}", question.month.isoformat())
        .replace("{threshold}", str(question.threshold))
        .replace("{mask}", "BIGINT" if months < 63 else "HUGEINT")
        .replace("{source}", f"read_parquet('{source}{'/**/*.parquet' if question.source.is_dir() else ''}')")
    )


def load(formulation: str) -> Work:
    """Import DuckDB."""
    import duckdb  # noqa: PLC0415 - importing is what is timed

    def work(question: Question):  # type: ignore[no-untyped-def]  # noqa: ANN202 - see Work
        con = duckdb.connect()
        con.execute(f"SET threads = {question.threads}; SET preserve_insertion_order = false")
        # From the footers, as the statistics have it: which mask is wide enough.
        first: date = con.execute(f"SELECT min(month) FROM '{question.source}'").fetchall()[0][0]
        oldest = max(first, question.first_month)
        months = (question.month.year - oldest.year) * 12 + question.month.month - oldest.month + 1
        con.execute(script(question, formulation, months))
        rows = con.execute(f"SELECT at_risk, {_ATTRIBUTES} FROM candidates JOIN streaks USING (account_id)")
        found: list[tuple[Any, ...]] = rows.fetchall()
        duplicates = int(con.execute("SELECT duplicates FROM told_twice").fetchall()[0][0])

        def answer() -> Answer:
            alerts = (alert_row(question, row[1:], streak(row[0])) for row in found)
            return Answer(alerts=in_order(alerts), duplicates=duplicates)

        return answer

    return work
