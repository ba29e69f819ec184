"""Alerts of log rules end when the log says so: in the order of the data, whenever these are evaluated."""

import random
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from mock_slack.running import RunningMock
from service.domain.lifecycle.alert_status import AlertStep
from service.log_rules.rule import microseconds
from service.log_rules.rules_file import load_rules
from tests.support.given import Given
from tests.support.log_files import LogRow
from tests.support.log_oracle import oracle_episodes
from tests.support.log_runs import DAY, RULES, Logs, at, burst, opened


def lasting(since: float, until: float, *, bundle: str = "com.a") -> list[LogRow]:
    """Return an event each three minutes: more than two within ten minutes, from the third on."""
    return [at(since + minutes / 60, bundle=bundle) for minutes in range(0, round((until - since) * 60), 3)]


async def alerts(logs: Logs) -> list[dict[str, Any]]:
    """Return all alerts, as they are stored."""
    return await Given(logs.app.store).sql("SELECT * FROM alerts ORDER BY began, subject")


async def statuses(logs: Logs) -> list[tuple[str, str]]:
    """Return the group and status of all alerts, by their beginning."""
    return [(str(row["subject"]).rpartition("/")[2], row["status"]) for row in await alerts(logs)]


async def events(logs: Logs) -> list[dict[str, Any]]:
    """Return the events of all alerts."""
    return await Given(logs.app.store).sql(
        "SELECT e.* FROM alert_events e JOIN alerts a ON a.id = e.alert_id ORDER BY began, e.alert_id, number"
    )


async def test_the_run_that_sees_the_end_of_a_burst_ends_its_alert(
    database_url: str, slack: RunningMock, tmp_path: Path
) -> None:
    """Also the run that sent it; what lasts stays open until the next day. Replays change nothing."""
    async with opened(database_url, slack, tmp_path) as logs:
        source = logs.write("log.csv", [*burst(12, 3), *burst(23.99, 3, bundle="com.b")])
        first = await logs.run(source, 0, 24)
        assert await statuses(logs) == [("com.a", "resolved"), ("com.b", "triggered")]
        assert len(slack.records()) == 2
        preview = await logs.preview(source, 24, 48)
        assert [one.subject for one in preview.recovered] == ["mobile/burst/com.b"]
        second = await logs.run(source, 24, 48)
        assert await statuses(logs) == [("com.a", "resolved"), ("com.b", "resolved")]
        assert [
            (each["event"], each["run_id"], each["period"], each["reason"]) for each in await events(logs)
        ] == [
            ("triggered", first.run_id, "2026-01-01T12:00:02.000000Z", None),
            ("resolved", first.run_id, "2026-01-02T00:00:00.000000Z", "recovered"),
            ("triggered", first.run_id, "2026-01-01T23:59:26.000000Z", None),
            ("resolved", second.run_id, "2026-01-03T00:00:00.000000Z", "recovered"),
        ]
        before = await alerts(logs), await events(logs)
        for since, until in ((0, 24), (24, 48), (0, 48), (0, 24), (24, 48)):
            await logs.run(source, since, until)
        assert (await alerts(logs), await events(logs)) == before
        changed = await logs.app.store.changes.of_run(second.run_id)
        assert [(str(one.change), one.subject) for one in changed.changes] == [
            ("recovered", "mobile/burst/com.b")
        ]
        # A new burst is a new alert, and knows the one before.
        source = logs.write("log.csv", [*burst(12, 3), *burst(23.99, 3, bundle="com.b"), *burst(71.99, 3)])
        await logs.run(source, 48, 72)
        *_, newest = await alerts(logs)
        assert (newest["status"], newest["previous_alert_id"]) == ("triggered", (await alerts(logs))[0]["id"])


async def test_an_alert_ends_once_the_run_lies_quiet_past_the_last_violation(logs: Logs) -> None:
    """Exactly `quiet` is enough, a second less is not."""
    last = 23 + 2 / 3600
    source = logs.write("log.csv", [*burst(23, 3), at(last, seconds=599, severity="error")])
    await logs.run(source, 0, last + 599 / 3600)
    assert await statuses(logs) == [("com.a", "triggered")]
    await logs.run(source, last + 599 / 3600, last + 600 / 3600)
    assert await statuses(logs) == [("com.a", "resolved")]


async def test_an_older_period_ends_nothing_newer(logs: Logs) -> None:
    """A burst that goes on for a day lasts, whatever a run says that saw only its first hours."""
    logs.write_rules(RULES.replace('repeat = "1h"\n', ""))
    source = logs.write("log.csv", lasting(23.5, 48))
    await logs.run(source, 0, 24)
    await logs.run(source, 24, 48)
    before = await events(logs)
    shorter = logs.write("other.csv", lasting(23.5, 25))
    await logs.run(shorter, 0, 30)
    assert (await statuses(logs), await events(logs)) == ([("com.a", "triggered")], before)
    # Found late, and over: it never opens.
    older = logs.write("older.csv", burst(2, 3))
    await logs.run(older, 0, 12)
    assert await statuses(logs) == [("com.a", "resolved"), ("com.a", "triggered")]


async def test_the_same_period_restated_has_the_last_word_of_itself(logs: Logs) -> None:
    """An episode of several messages that goes on after all reopens its alert, once; and ends it again."""
    over, goes_on = lasting(21, 22.5), lasting(21, 24)
    await logs.run(logs.write("log.csv", over), 0, 24)
    assert await statuses(logs) == [("com.a", "resolved")]
    await logs.run(logs.write("log.csv", goes_on), 0, 24)
    (alert,) = await alerts(logs)
    assert (alert["status"], alert["reopened"], alert["resolved_at"]) == ("triggered", 1, None)
    await logs.run(logs.write("log.csv", over), 0, 24)
    (alert,) = await alerts(logs)
    assert (alert["status"], alert["reopened"], alert["version"]) == ("resolved", 1, len(await events(logs)))


async def test_what_a_person_reopened_stays_open_until_there_is_news(logs: Logs) -> None:
    """A replay says nothing new; the next day does."""
    source = logs.write("log.csv", burst(12, 3))
    await logs.run(source, 0, 24)
    (alert,) = await alerts(logs)
    await logs.app.store.alert_work.take(alert["id"], AlertStep.REOPEN, note=None, by="ann")
    await logs.run(source, 0, 24)
    assert await statuses(logs) == [("com.a", "triggered")]
    await logs.run(source, 24, 48)
    assert await statuses(logs) == [("com.a", "resolved")]


async def test_a_rule_that_begins_cold_ends_what_nobody_saw_for_quiet(logs: Logs) -> None:
    """It has not seen what was open before it changed; what it finds itself it can judge."""
    rows = [*burst(23.99, 3), *burst(24.01, 3, bundle="com.b"), at(24.11, severity="error")]
    source = logs.write("log.csv", rows)
    await logs.run(source, 0, 24)
    logs.write_rules(RULES.replace('window = "10m"', 'window = "10m"\nquiet = "9m"'))
    await logs.run(source, 24, 24.1)
    assert await statuses(logs) == [("com.a", "triggered"), ("com.b", "triggered")]
    await logs.run(source, 24.1, 24.17)
    assert await statuses(logs) == [("com.a", "resolved"), ("com.b", "resolved")]
    # A gap: nobody knows what was in it, but for `quiet` nothing was found.
    await logs.run(logs.write("log.csv", burst(35.99, 3)), 24.17, 36)
    logs.write_rules(RULES)
    await logs.run(source, 48, 72)
    assert {status for _, status in await statuses(logs)} == {"resolved"}


async def test_streams_and_rules_end_their_own(logs: Logs) -> None:
    """Another stream, whose name only begins alike, and a rule that is not in the file, end nothing."""
    logs.write_rules(RULES + RULES.replace('id = "burst"', 'id = "other"'))
    await logs.run(logs.write("log.csv", burst(23.99, 3)), 0, 24)
    empty = logs.write("empty.csv", [])
    for stream in ("mob", "mobile2", "mobil_"):
        await logs.run(empty, 24, 48, stream=stream)
    assert {status for _, status in await statuses(logs)} == {"triggered"}
    logs.write_rules(RULES)
    await logs.run(empty, 24, 48)
    assert {row["rule_name"]: row["status"] for row in await alerts(logs)} == {
        "burst": "resolved",
        "other": "triggered",
    }


async def test_a_flood_ends_with_its_last_episode(slack: RunningMock, tmp_path: Path) -> None:
    """Its digest is an alert as well: open while any group of the rule is."""
    async with opened(f"sqlite:///{tmp_path / 'l.db'}", slack, tmp_path, max_alerts_per_rule=1) as logs:
        rows = [*burst(1, 3), *burst(2, 3, bundle="com.b"), *burst(23.99, 3, bundle="com.c")]
        source = logs.write("log.csv", rows)
        await logs.run(source, 0, 24)
        assert await statuses(logs) == [("burst#digest", "triggered")]
        await logs.run(source, 24, 48)
        assert await statuses(logs) == [("burst#digest", "resolved")]


@pytest.mark.parametrize("seed", [1, 2])
async def test_open_is_what_brute_force_calls_open(logs: Logs, seed: int) -> None:
    """However the log is cut into runs: open are the groups whose last violation is less than quiet ago."""
    chance = random.Random(seed)  # noqa: S311  # the same log every time
    rows = [at(chance.uniform(0, 3), bundle=f"com.{chance.randrange(3)}") for _ in range(120)]
    (rule,) = load_rules(logs.folder / "mobile.toml").rules
    seconds = sorted(chance.sample(range(1, 3 * 3600), 7))
    none = [at(0, seconds=second, severity="error") for second in seconds]
    source = logs.write("log.csv", [*rows, *none])
    for since, until in zip([0, *seconds], seconds, strict=False):
        await logs.run(source, since / 3600, until / 3600)
        end = microseconds(DAY) + until * 1_000_000
        known = [((row["bundle_id"],), _us(row)) for row in rows if _us(row) < end]
        expected = {each.group[0] for each in oracle_episodes(rule, known) if each.last > end - rule.quiet_us}
        found = {group for group, status in await statuses(logs) if status == "triggered"}
        assert found == expected


def _us(row: LogRow) -> int:
    return microseconds(datetime.fromisoformat(row["date"]))
