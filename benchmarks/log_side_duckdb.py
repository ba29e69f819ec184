"""DuckDB's side: windows by RANGE (both ends included, so a microsecond less), or by an as-of join."""

from collections.abc import Sequence
from pathlib import Path
from typing import Final

from benchmarks.log_side import RULES, Found, Work

_RANGE: Final = """
select g, t, count(*) over (
  partition by g order by t range between {window} - 1 preceding and current row
) as c
from events qualify c > {more_than}
"""
_ASOF: Final = """
with ranked as (select g, t, row_number() over (partition by g order by t) as n from events),
upto as (select g, t, max(n) as n from ranked group by g, t)
select now.g as g, now.t as t, now.n - coalesce(before.n, 0) as c
from upto as now asof left join upto as before on now.g = before.g and now.t - {window} >= before.t
where c > {more_than}
"""
_EPISODES: Final = """
with counted as ({counted}),
violating as (select distinct g, t, c from counted),
marked as (
  select *, coalesce(t - lag(t) over (partition by g order by t) >= {quiet}, true)::int as begins
  from violating
),
numbered as (select *, sum(begins) over (partition by g order by t) as episode from marked)
select g, min(t), max(t), max(c) from numbered group by g, episode
"""


def load(formulation: str, threads: int) -> Work:
    """Import DuckDB."""
    import duckdb  # noqa: PLC0415 - importing is what is timed

    counted = {"range": _RANGE, "asof": _ASOF}[formulation]

    def work(path: Path) -> Sequence[Found]:
        with duckdb.connect(config={"threads": threads}) as database:
            table = (
                f"read_parquet('{path}')"
                if path.suffix == ".parquet"
                else f"read_csv('{path}', all_varchar = true, header = true)"
            )
            database.execute(
                "create temp table matched as select bundle_id, epoch_us(date::timestamp) as t "  # noqa: S608 - our own path
                f"from {table} where severity = 'fatal'"
            )
            found: list[Found] = []
            for number, rule in enumerate(RULES):
                group = "bundle_id" if rule.by_bundle else "''"
                database.execute(
                    f"create or replace temp view events as select {group} as g, t from matched"  # noqa: S608 - as above
                )
                question = _EPISODES.format(counted=counted.format(**rule._asdict()), quiet=rule.quiet)
                found += [(number, *row) for row in database.execute(question).fetchall()]
            return found

    return work
