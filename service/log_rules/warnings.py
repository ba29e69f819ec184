"""The warnings of a log's evaluation: what a person should look at although it went on. Pure."""

from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from datetime import timedelta

from service.domain.evaluation import RunWarning
from service.log_rules.findings import MOST_VALUES, Before, LogFindings, folded, wanted_values

_SHOWN = 5


def log_warnings(findings: LogFindings, before: Before) -> tuple[RunWarning, ...]:
    """Return all warnings, the gravest first."""
    return (
        *_cold_starts(findings, before),
        *_rows(findings),
        *_near_misses(findings),
        *_new_values(findings.values, before.values),
    )


def _cold_starts(findings: LogFindings, before: Before) -> Iterator[RunWarning]:
    cold = [found.rule.id for found in findings.rules if found.rule.id not in before.memories]
    if cold:
        detail = (
            f"no earlier run has left what came before the period for {', '.join(cold)}: bursts over its "
            "beginning may be missed, and its first episodes may have begun earlier"
        )
        yield RunWarning(code="cold_start", count=len(cold), detail=detail)


def _rows(findings: LogFindings) -> Iterator[RunWarning]:
    rows = findings.rows
    if rows.malformed:
        detail = f"{rows.malformed:,} of {rows.rows_in_source:,} rows have too few or too many columns"
        yield RunWarning(code="malformed_rows", count=rows.malformed, detail=detail)
    for found in findings.rules:
        each = found.rows
        unusable = each.time_null + each.time_unparsable + each.time_out_of_range
        if unusable:
            detail = (
                f"{found.rule.id}: {unusable:,} of {each.matched:,} matched rows have no usable time "
                f"({each.time_null:,} null, {each.time_unparsable:,} unparsable, {each.time_out_of_range:,} "
                "out of range) and are not counted"
            )
            yield RunWarning(code="unusable_times", count=unusable, detail=detail)
        if each.late:
            by = timedelta(seconds=each.largest_lateness_s)
            detail = f"{found.rule.id}: {each.late:,} rows are older than the period, by up to {by}"
            yield RunWarning(code="late_rows", count=each.late, detail=detail)
    if findings.collected:
        detail = "rows stand further behind newer ones than source.lateness says: the log was read twice"
        yield RunWarning(code="rows_in_disorder", count=1, detail=detail)


def _near_misses(findings: LogFindings) -> Iterator[RunWarning]:
    rules = [found.rule for found in findings.rules]
    exact = {(column, value) for rule in rules for column, values in rule.where for value in values}
    for column, nearly in wanted_values(rules).items():
        near = Counter(
            {
                value: count
                for value, count in findings.values.get(column, Counter()).items()
                if (column, value) not in exact and folded(value) in nearly
            }
        )
        if near:
            detail = f"{column}: {_listed(near)} would match if case and surrounding spaces did not count"
            yield RunWarning(code="near_miss_value", count=near.total(), detail=detail)


def _new_values(
    values: Mapping[str, Counter[str]], known: Mapping[str, Collection[str]]
) -> Iterator[RunWarning]:
    for column, counts in values.items():
        before = known.get(column, ())
        if not before or len(counts) > MOST_VALUES:
            continue
        new = Counter({value: count for value, count in counts.items() if value not in before})
        if new:
            detail = f"{column}: {_listed(new)} was in no earlier run's rows"
            yield RunWarning(code="new_value", count=new.total(), detail=detail)


def _listed(counts: Counter[str]) -> str:
    shown = [f"{value[:60]!r} ({count:,} rows)" for value, count in counts.most_common(_SHOWN)]
    more = len(counts) - len(shown)
    return ", ".join(shown) + (f" and {more:,} more" if more else "")
