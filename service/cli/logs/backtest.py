"""`rules backtest`: what rules would have said of a log, and what other thresholds and windows would have."""

import os
import sys
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import datetime
from itertools import product
from pathlib import Path
from typing import Any, Final

from service.cli.bars import shown
from service.cli.command import async_command, parsed_source, print_answer
from service.cli.logs.text_table import write_table
from service.domain.errors import BadPeriodError
from service.domain.progress import Progress
from service.kinds import storage_access
from service.log_rules.evaluate import evaluate_log
from service.log_rules.findings import Before, LogFindings, LogOptions, LogQuestion, RuleFindings
from service.log_rules.memory import Memory
from service.log_rules.rule import END_US, FIRST_US, Period, Rule, RuleFile, instant_of, microseconds
from service.log_rules.rules_file import duration_text, load_rules
from service.log_rules.warnings import log_warnings
from service.settings import Settings
from service.sources.opening import check_allowed, open_source
from service.telemetry.terminal import harmless

_FACTORS: Final = (0.5, 1, 2)
_DAY_US: Final = 86_400_000_000
_SHOWN: Final = 20
_EPISODE_BYTES: Final = 512
"""Of an episode until all are shown, those of other thresholds and windows among them: measured as 400."""


@async_command
async def backtest(
    settings: Settings, *, source: str, rules: Path, since: str | None, until: str | None, as_json: bool
) -> None:
    """Print what the rules find in a log; neither outbox nor Slack is touched."""
    file = load_rules(rules)
    period = Period(
        since_us=FIRST_US if since is None else _instant(since, "--from"),
        until_us=END_US if until is None else _instant(until, "--until"),
    )
    if period.since_us >= period.until_us:
        raise BadPeriodError("--from must come before --until")
    uri = parsed_source(source)
    await check_allowed(uri, storage_access(settings))
    everything = RuleFile(source=file.source, rules=tuple(_alternatives(file.rules)))
    options = LogOptions(
        threads=settings.scan_threads or os.cpu_count() or 1,
        memory_limit_mb=settings.memory_limit_mb,
        alert_bytes=_EPISODE_BYTES,
    )
    # Where nothing comes before, nothing is missing.
    memories = {rule.id: Memory() for rule in everything.rules} if since is None else {}
    before = Before(memories=memories)
    progress = Progress()
    async with shown(progress):
        with open_source(uri, storage_access(settings)) as files:
            question = LogQuestion(rules=everything, period=period, before=before)
            found = await evaluate_log(files, question, options=options, progress=progress)
    own = {rule.id for rule in file.rules}
    answer = _answer(found, own, period, before, most=settings.max_alerts_per_rule)
    print_answer(answer, lambda: _print(answer), as_json=as_json)


def _instant(text: str, option: str) -> int:
    try:
        return microseconds(datetime.fromisoformat(text))
    except (ValueError, OverflowError):
        raise BadPeriodError(
            f"{option} must be ISO 8601, such as 2026-01-31 or 2026-01-31T12:00:00Z"
        ) from None


def _alternatives(rules: Sequence[Rule]) -> Iterator[Rule]:
    """Yield each rule, and the same at half and twice its threshold and window, as far as they differ.

    Each says what its file would, written so.
    """
    for rule in rules:
        thresholds = {max(int((rule.more_than + 1) * factor) - 1, 0): None for factor in _FACTORS}
        windows = {max(int(rule.window_us * factor), 1): None for factor in _FACTORS}
        for more_than, window_us in product(thresholds, windows):
            is_itself = (more_than, window_us) == (rule.more_than, rule.window_us)
            # No id of a file holds a slash.
            name = rule.id if is_itself else f"{rule.id}/{more_than}/{window_us}"
            quiet_us = window_us if rule.quiet_is_window else rule.quiet_us
            yield replace(rule, id=name, more_than=more_than, window_us=window_us, quiet_us=quiet_us)


def _answer(
    found: LogFindings, own: set[str], period: Period, before: Before, *, most: int
) -> dict[str, Any]:
    first, last = found.span or (0, 0)
    first = period.since_us if period.since_us > FIRST_US else first
    last = period.until_us if period.until_us < END_US else last
    days = max((last - first) / _DAY_US, 1.0)
    itself = replace(found, rules=[one for one in found.rules if one.rule.id in own])
    return {
        "rows": {**found.rows.values(), "rules": {name: found.rows.values()["rules"][name] for name in own}},
        "days": round(days, 2),
        "warnings": [
            {"code": one.code, "count": one.count, "detail": one.detail}
            for one in log_warnings(itself, before)
        ],
        "rules": [_tried(one, days, most) | {"is_itself": one.rule.id in own} for one in found.rules],
        "episodes": [_episode(one, each) for one in itself.rules for each in one.episodes],
    }


def _tried(found: RuleFindings, days: float, most: int) -> dict[str, Any]:
    """Return what a rule would send in runs of a day each, a digest by route for more than `most` alerts."""
    rule = found.rule
    a_day: dict[int, Counter[str | None]] = defaultdict(Counter)
    for episode in found.episodes:
        for number in (0, *episode.reminders(rule.repeat_us)):
            day = (episode.start + number * (rule.repeat_us or 0)) // _DAY_US
            a_day[day][rule.route_of(episode.group)] += 1
    digests = {day: len(alerts) for day, alerts in a_day.items() if alerts.total() > most}
    messages = {day: digests.get(day, alerts.total()) for day, alerts in a_day.items()}
    return {
        "rule": rule.id.partition("/")[0],
        "more_than": rule.more_than,
        "window": duration_text(rule.window_us),
        "episodes": len(found.episodes),
        "groups": len({episode.group for episode in found.episodes}),
        "digests": sum(digests.values()),
        "messages": sum(messages.values()),
        "messages_a_day": round(sum(messages.values()) / days, 1),
        "most_on_a_day": max(messages.values(), default=0),
    }


def _episode(found: RuleFindings, episode: Any) -> dict[str, Any]:
    return {
        "rule": found.rule.id,
        "group": list(episode.group),
        "start": instant_of(episode.start).isoformat(),
        "last": instant_of(episode.last).isoformat(),
        "peak": episode.peak,
        "events": episode.events,
        "start_is_minimum": episode.is_minimum,
    }


def _print(answer: dict[str, Any]) -> None:
    rows = answer["rows"]
    sys.stdout.write(
        f"{rows['rows_in_source']:,} rows = {rows['malformed']:,} malformed + {rows['unmatched']:,} unmatched"
        f" + {rows['matched']:,} matched, over {answer['days']:,} days\n\n"
    )
    write_table(
        (
            "rule",
            "more than",
            "within",
            "episodes",
            "groups",
            "digests",
            "messages",
            "a day",
            "most on a day",
            "",
        ),
        [(*list(one.values())[:-1], "<-" if one["is_itself"] else "") for one in answer["rules"]],
    )
    episodes = sorted(answer["episodes"], key=lambda one: -one["peak"])
    if episodes:
        sys.stdout.write(f"\nThe worst of {len(episodes):,} episodes\n")
        write_table(
            ("rule", "group", "start", "last", "peak", "events"),
            [
                (
                    one["rule"],
                    ", ".join(value or "(none)" for value in one["group"]) or "all",
                    one["start"],
                    one["last"],
                    one["peak"],
                    one["events"],
                )
                for one in episodes[:_SHOWN]
            ],
        )
    for one in answer["warnings"]:
        sys.stdout.write(harmless(f"warning: {one['code']} ({one['count']:,}): {one['detail']}") + "\n")
