"""Runs over logs: what they send, leave for the next one, and say when the past has changed."""

import asyncio
import random
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID

import pytest

from mock_slack.running import RunningMock
from service.domain.delivery_status import Outcome
from service.domain.errors import CheckpointTooLargeError, MemoryLimitExceededError
from service.domain.progress import Progress, RunStatus
from service.domain.source_uri import SourceUri
from service.log_rules.alerts.checkpoint import unpacked
from service.log_rules.alerts.kind import log_request
from service.runs.execute import execute_run, new_run_id
from tests.support.given import Given
from tests.support.house import assert_balanced, warning_codes
from tests.support.log_runs import RULES, Logs, at, burst, opened


def titles(slack: RunningMock) -> list[str]:
    """Return the first line of each message, in the order of arrival."""
    return [str((record.payload or {})["text"]).splitlines()[0] for record in slack.records()]


async def test_a_burst_over_midnight_is_one_alert(
    database_url: str, slack: RunningMock, tmp_path: Path
) -> None:
    """Neither day has enough of it: the second begins with what the first left. A replay sends nothing."""
    async with opened(database_url, slack, tmp_path) as logs:
        source = logs.write("log.csv", [*burst(23.999, 2), *burst(24, 2), *burst(30, 5, bundle="com.b")])
        first = await logs.run(source, 0, 24)
        assert (first.counts.alerts, warning_codes(first)) == (0, {"cold_start": 1})
        shown = await logs.preview(source, 24, 48)
        second = await logs.run(source, 24, 48, plan_digest=shown.plan_digest)
        assert warning_codes(second) == {}
        assert titles(slack) == [
            "🚨 4 fatal errors within 10m: com.a (burst)",
            "🚨 5 fatal errors within 10m: com.b (burst)",
        ]
        assert (second.kind, second.period) == ("log_rules", "2026-01-02T00:00:00/2026-01-03T00:00:00")
        replays = [
            await logs.run(source, 24, 48),
            await logs.run(source, 0, 24),
            await logs.run(source, 24, 48),
        ]
        assert [replay.counts.skipped_replay for replay in replays] == [2, 0, 2]
        assert [replay.counts.withdrawn + replay.counts.restated for replay in replays] == [0, 0, 0]
        assert [warning_codes(replay) for replay in replays] == [{}, {"cold_start": 1}, {}]
        # One run over both days says the same, and knows what was sent.
        whole = await logs.run(source, 0, 48)
        assert (whole.counts.alerts, whole.counts.skipped_replay, whole.counts.restated) == (2, 2, 0)
        assert len(slack.records()) == 2
        left = await Given(logs.app.store).sql(
            "SELECT lease, until, follows IS NULL AS cold FROM checkpoints"
        )
        assert sorted((row["lease"], row["until"], bool(row["cold"])) for row in left) == [
            ("log_rule:mobile", "2026-01-02T00:00:00", True),
            ("log_rule:mobile", "2026-01-03T00:00:00", True),
        ]


async def test_an_episode_that_grew_is_restated_and_one_that_is_gone_withdrawn(
    logs: Logs, slack: RunningMock
) -> None:
    """Both were sent, and nothing is sent again; what is new goes out."""
    source = logs.write("log.csv", [*burst(1, 3), *burst(5, 3, bundle="com.gone")])
    await logs.run(source, 0, 24)
    source = logs.write("log.csv", [*burst(1, 4), *burst(6, 3, bundle="com.new")])
    rehearsal = await logs.run(source, 0, 24, dry_run=True)
    again = await logs.run(source, 0, 24)
    for each in (rehearsal, again):
        assert (each.counts.skipped_replay, each.counts.restated, each.counts.withdrawn) == (1, 1, 1)
    (restated,) = again.sample_restated
    assert restated.restated is not None
    assert (restated.restated["peak"], restated.restated["events"]) == ((3, 4), (3, 4))
    (gone,) = again.sample_withdrawn
    assert (gone.alert.facts["group"], str(gone.status)) == ("com.gone", "sent")
    assert [title.rpartition(": ")[2] for title in titles(slack)] == [
        "com.a (burst)",
        "com.gone (burst)",
        "com.new (burst)",
    ]
    # Another period of the same stream, over the same source, has nothing to do with it.
    other = await logs.run(source, 24, 48)
    assert (other.counts.alerts, other.counts.withdrawn) == (0, 0)


async def test_a_day_that_was_evaluated_again_makes_later_ones_outdated(logs: Logs) -> None:
    """The run that begins there says which periods to repeat, in their order; repeated, all is well."""
    source = logs.write("log.csv", [])
    for day in range(3):
        await logs.run(source, 24 * day, 24 * day + 24)
    # What nobody changed is still what it was.
    assert warning_codes(await logs.run(source, 24, 48)) == {}
    source = logs.write("log.csv", burst(23.99, 2))
    await logs.run(source, 0, 24)
    warned = await logs.run(source, 48, 72)
    assert warning_codes(warned)["stale_checkpoint"] == 1
    assert "2026-01-02T00:00:00 to 2026-01-03T00:00:00 (UTC)" in warned.warnings[0].detail
    for since in (24, 48):
        assert "stale_checkpoint" not in warning_codes(await logs.run(source, since, since + 24))


async def test_a_changed_rule_begins_anew_alone(logs: Logs) -> None:
    """The other rule of the file goes on with what the run before left."""
    other = RULES.replace('id = "burst"', 'id = "second"')
    logs.write_rules(RULES + other)
    source = logs.write("log.csv", burst(23.9999, 6))
    await logs.run(source, 0, 24)
    logs.write_rules(RULES + other.replace("gt = 2", "gt = 1"))
    record = await logs.run(source, 24, 48)
    (cold,) = record.warnings
    assert (cold.code, cold.count) == ("cold_start", 1)
    assert "second" in cold.detail
    alerts = (await logs.app.store.history.list_alerts(record.run_id, limit=10)).items
    assert {item.alert.facts["rule"]: item.alert.facts["start_is_minimum"] for item in alerts} == {
        "burst": False,
        "second": True,
    }


async def test_a_rule_that_was_removed_while_it_lasted_is_named(logs: Logs) -> None:
    """No run ends its alerts any more; one that had nothing open needs nobody."""
    others = [RULES.replace('id = "burst"', f'id = "{name}"') for name in ("open", "over")]
    logs.write_rules("".join([RULES, others[0], others[1].replace("gt = 2", "gt = 20")]))
    source = logs.write("log.csv", burst(23.999, 6))
    await logs.run(source, 0, 24)
    logs.write_rules(RULES)
    (removed,) = (await logs.run(source, 24, 48)).warnings
    assert (removed.code, removed.count) == ("removed_rule", 1)
    assert "no longer have open, of which" in removed.detail
    assert (await logs.run(source, 48, 72)).warnings == ()


async def test_rows_that_come_late_are_counted_and_fill_windows(logs: Logs) -> None:
    """Two events of the day before come in the next day's file: they violate nothing, but count there."""
    first = logs.write("1.csv", [at(23.98)])
    await logs.run(first, 0, 24)
    second = logs.write("2.csv", [at(23.99), at(24.01)])
    record = await logs.run(second, 24, 48)
    assert record.ledger is not None
    rows = record.ledger.rows["rules"]["burst"]
    assert (rows["late"], rows["counted"], record.counts.alerts) == (1, 1, 1)
    assert rows["largest_lateness_s"] == 36
    assert warning_codes(record)["late_rows"] == 1
    # A file that the run before has read brings nothing new.
    again = logs.write("1.csv", [at(23.98), at(24.01), at(24.02)])
    record = await logs.run(again, 24, 48)
    assert record.ledger is not None
    rows = record.ledger.rows["rules"]["burst"]
    assert (rows["late"], rows["outside_period"], record.counts.alerts) == (0, 1, 1)


async def test_late_rows_of_a_file_that_has_grown(logs: Logs) -> None:
    """Old ones are known, also where several are equal; new ones fill windows, and violate nothing."""
    old = [at(23.98), at(23.98), at(23.98, bundle="com.b"), at(12)]
    source = logs.write("log.csv", old)
    await logs.run(source, 0, 24)
    late = [at(23.98, bundle="com.b"), at(23.99, bundle="com.b"), at(23.99, bundle="com.new")]
    logs.write("log.csv", [*old, *late, at(24.01, bundle="com.b"), at(24.02, bundle="com.new")])
    record = await logs.run(source, 24, 48)
    assert record.ledger is not None
    rows = record.ledger.rows["rules"]["burst"]
    assert (rows["outside_period"], rows["late"], rows["counted"]) == (4, 3, 2)
    assert rows["largest_lateness_s"] == 72
    detail = next(each.detail for each in record.warnings if each.code == "late_rows")
    assert "3 rows are older than the period, by up to 0:01:12" in detail
    (alert,) = (await logs.app.store.history.list_alerts(record.run_id, limit=10)).items
    assert (alert.alert.facts["group"], alert.alert.facts["peak"]) == ("com.b", 4)
    # A replay begins where that run began, and the next day where it ended.
    again = await logs.run(source, 24, 48)
    assert again.ledger is not None
    assert (again.ledger.rows["rules"]["burst"]["late"], again.counts.restated) == (3, 0)
    after = await logs.run(source, 48, 72)
    assert after.ledger is not None
    assert after.ledger.rows["rules"]["burst"]["late"] == 0


@pytest.mark.parametrize("names", [("1.csv", "1.csv.gz"), ("1.csv.gz", "1.csv.zst")])
async def test_a_file_that_was_compressed_since_is_the_same(logs: Logs, names: tuple[str, str]) -> None:
    """Two events within ten minutes are no burst because the first is read from another file the next day."""
    (logs.folder / "logs").mkdir()
    log = (logs.folder / "logs").as_uri()
    logs.write("logs/2.csv", [at(24.01)])
    logs.write(f"logs/{names[0]}", [at(23.98), at(12)])
    await logs.run(log, 0, 24)
    (logs.folder / "logs" / names[0]).unlink()
    logs.write(f"logs/{names[1]}", [at(23.98), at(12)])
    record = await logs.run(log, 24, 48)
    assert record.ledger is not None
    rows = record.ledger.rows["rules"]["burst"]
    assert (rows["late"], rows["outside_period"], rows["counted"], rows["episodes"]) == (0, 2, 1, 0)


async def test_files_are_remembered_in_the_order_of_their_runs(logs: Logs) -> None:
    """Of very many the oldest are forgotten first, and not any."""
    names = [f"{number:02}.csv" for number in range(12)]
    for name in names:
        logs.write(name, [])
    await logs.run(logs.folder.as_uri(), 0, 24)
    await logs.run(logs.write("0.csv", []), 24, 48)
    await logs.run(logs.write("z.csv", []), 48, 72)
    found = await logs.app.store.checkpoints.at("log_rule:mobile", "2026-01-04T00:00:00")
    assert found is not None
    remembered = unpacked(found.content)
    assert remembered is not None
    assert [Path(path).name for path in remembered.files] == [*names, "0.csv", "z.csv"]


async def test_a_run_over_all_of_the_calendar(logs: Logs, slack: RunningMock) -> None:
    """From the first instant of the year 1 to the last second of 9999: all can be recorded and shown."""
    ends = ("0001-01-01T00:00:0", "9999-12-31T23:59:5")
    dates = [f"{end}{second}" for end in ends for second in range(3)]
    rows = [{**at(0, bundle=f"com.{date[:4]}"), "date": date} for date in dates]
    request = log_request(
        SourceUri.parse(logs.write("log.csv", rows)),
        logs.folder / "mobile.toml",
        since=datetime(1, 1, 1, tzinfo=UTC),
        until=datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC),
        stream="mobile",
    )
    for sent, replayed in ((2, 0), (0, 2)):
        run_id = new_run_id(logs.app.clock.now())
        record = await execute_run(logs.app, request, run_id=run_id, progress=Progress())
        assert (record.error, record.counts.alerts_sent, record.counts.skipped_replay) == (
            None,
            sent,
            replayed,
        )
    first, last = ((record.payload or {})["text"] for record in slack.records())
    assert "Over the limit from: 0001-01-01 00:00:02 UTC or earlier" in first
    assert "Events: 3 since 9999-12-31 23:59:50 UTC" in last


async def test_a_reminder_comes_once_for_each_repeat(logs: Logs, slack: RunningMock) -> None:
    """An episode that goes on for two hours and a half, over two runs, has two reminders of its own."""
    source = logs.write("log.csv", [at(22 + minutes / 60) for minutes in range(150)])
    runs = [await logs.run(source, 0, 24), await logs.run(source, 24, 48)]
    marks = [title.split(" ", 2)[:2] for title in titles(slack)]
    assert [mark[1] == "Still:" for mark in marks] == [False, True, True]
    lines = [line for record in slack.records() for line in str((record.payload or {})["text"]).splitlines()]
    assert [line for line in lines if line.startswith("Reminder: ")] == [
        "Reminder: 1, of 2026-01-01 23:02:00 UTC",
        "Reminder: 2, of 2026-01-02 00:02:00 UTC",
    ]
    replayed = [await logs.run(source, 0, 24), await logs.run(source, 24, 48)]
    assert [each.counts.skipped_replay for each in replayed] == [2, 1]
    assert [each.counts.alerts_sent for each in replayed] == [0, 0]
    whole = await logs.run(source, 0, 48)
    assert (whole.counts.alerts_sent, whole.counts.skipped_replay) == (0, 3)
    # All three are one alert for people to work on, and one change of each run.
    changed = [(await logs.app.store.changes.of_run(each.run_id)).changes for each in runs]
    assert [[str(one.change) for one in changes] for changes in changed] == [
        ["new"],
        ["continuing", "recovered"],
    ]
    worked_on = await Given(logs.app.store).sql("SELECT rule_name, subject, severity, status FROM alerts")
    assert [tuple(row.values()) for row in worked_on] == [
        ("burst", "mobile/burst/com.a", "critical", "resolved")
    ]


async def test_a_flood_is_one_message(database_url: str, slack: RunningMock, tmp_path: Path) -> None:
    """All episodes are listed, as part of the digest; a replay sends nothing; fewer go out one by one."""
    async with opened(database_url, slack, tmp_path, max_alerts_per_rule=3) as logs:
        rows = [row for number in range(4) for row in burst(1, 3 + number, bundle=f"com.{number}")]
        source = logs.write("log.csv", rows)
        shown = await logs.preview(source, 0, 24)
        assert [str(item.action) for item in shown.alerts] == ["send", *["in_digest"] * 4]
        record = await logs.run(source, 0, 24, plan_digest=shown.plan_digest)
        assert (record.counts.alerts, record.counts.alerts_sent, record.counts.in_digest) == (5, 1, 4)
        (message,) = slack.records()
        assert (message.payload or {})["text"].splitlines() == [
            "🚨 Flood: 4 episodes in 4 groups (burst)",
            "Limit: more than 2 within 10m",
            "Period: 2026-01-01 00:00:00 to 2026-01-02 00:00:00 UTC",
            "Worst: com.3: 6 at 2026-01-01 01:00:05 UTC",
            "Then: com.2: 5 at 2026-01-01 01:00:04 UTC",
            "Then: com.1: 4 at 2026-01-01 01:00:03 UTC",
            "Then: com.0: 3 at 2026-01-01 01:00:02 UTC",
            "Log: mobile",
        ]
        listed = (await logs.app.store.history.list_alerts(record.run_id, limit=10)).items
        assert [item.outcome for item in listed] == [Outcome.SENT, *[Outcome.IN_DIGEST] * 4]
        # The id of each leads to the alert that stands for it, also with the dashes of a UUID.
        digest_id, *ids = [item.alert.alert_id for item in listed]
        for each in (*ids, str(UUID(ids[0]))):
            assert (await logs.app.store.alerts.get(each)).alert_id == digest_id
        assert {item.alert.facts.get("digest") for item in listed} == {None, digest_id}
        # Runs of earlier versions did not say it in the facts.
        without = (
            "json_remove(facts, '$.digest')"
            if database_url.startswith("sqlite")
            else "CAST(CAST(facts AS jsonb) - 'digest' AS json)"
        )
        await Given(logs.app.store).sql(f"UPDATE run_outcomes SET facts = {without}")  # noqa: S608  # ours
        assert (await logs.app.store.alerts.get(ids[-1])).alert_id == digest_id
        again = await logs.run(source, 0, 24)
        assert (again.counts.skipped_replay, again.counts.in_digest, again.counts.withdrawn) == (1, 4, 0)
        fewer = await logs.run(logs.write("log.csv", rows[7:]), 0, 24)
        assert (fewer.counts.alerts_sent, fewer.counts.withdrawn) == (2, 1)
        assert len(slack.records()) == 3


async def test_a_flood_of_a_rule_with_routes_is_one_message_a_route(
    slack: RunningMock, tmp_path: Path
) -> None:
    """Each channel reads of its own groups; those that lead nowhere are reported as such, once a route."""
    routed = RULES.replace('["bundle_id"]', '["bundle_id", "country_code"]')
    routed = routed.replace('channel = "on-call"', 'route = "country_code"')
    hours = {("com.a", "AMER"): 1, ("com.b", "AMER"): 2, ("com.c", "EMEA"): 3, ("com.d", "EMEA"): 23.999}
    rows = [
        {**row, "country_code": route}
        for (bundle, route), hour in (hours | {("com.e", "XX"): 4}).items()
        for row in burst(hour, 3, bundle=bundle)
    ]
    async with opened(f"sqlite:///{tmp_path / 'l.db'}", slack, tmp_path, max_alerts_per_rule=4) as logs:
        logs.write_rules(routed)
        source = logs.write("log.csv", rows)
        shown = await logs.preview(source, 0, 24)
        assert [str(item.action) for item in shown.alerts] == ["send", "send", "fail", *["in_digest"] * 5]
        record = await logs.run(source, 0, 24, plan_digest=shown.plan_digest)
        counts = record.counts
        assert (counts.alerts_sent, counts.unknown_region, counts.in_digest) == (2, 1, 5)
        said = {each.channel: (each.payload or {})["text"].splitlines() for each in slack.records()}
        assert {channel: lines[0] for channel, lines in said.items()} == {
            "amer-risk-alerts": "🚨 Flood: 2 episodes in 2 groups (burst)",
            "emea-risk-alerts": "🚨 Flood: 2 episodes in 2 groups (burst)",
        }
        assert "Then: com.d, EMEA: 3 at 2026-01-01 23:59:58 UTC" in said["emea-risk-alerts"]
        listed = (await logs.app.store.history.list_alerts(record.run_id, limit=10)).items
        digest_of = {item.alert.alert_id: item.alert.route for item in listed[:3]}
        for item in listed[3:]:
            assert digest_of[str(item.alert.facts["digest"])] == item.alert.route
        # A digest lasts as long as any group of its route.
        alerts = await Given(logs.app.store).sql("SELECT subject, status FROM alerts ORDER BY subject")
        assert [tuple(row.values()) for row in alerts] == [
            ("mobile/burst/AMER#digest", "resolved"),
            ("mobile/burst/EMEA#digest", "triggered"),
            ("mobile/burst/XX#digest", "resolved"),
        ]
        again = await logs.run(source, 0, 24)
        assert (again.counts.skipped_replay, again.counts.alerts_sent) == (2, 0)


async def test_what_a_group_says_harms_nobody(database_url: str, slack: RunningMock, tmp_path: Path) -> None:
    """A group may hold markup, a NUL, a line break, or 100 KB, or nothing: each is a group of its own."""
    groups = ["<!channel>", "a\nb", "n\0l", "{peak}", "x" * 100_000, "x" * 100_001, "", "=cmd()"]
    async with opened(database_url, slack, tmp_path) as logs:
        rows = [row for group in groups for row in burst(1, 3, bundle=group)]
        record = await logs.run(logs.write("log.csv", rows), 0, 24)
        assert (record.counts.alerts_sent, len(slack.records())) == (8, 8)
    said = "\n".join(titles(slack))
    assert "<!channel>" not in said
    assert "3 fatal errors within 10m: &lt;!channel&gt; (burst)" in said
    assert "3 fatal errors within 10m: (none) (burst)" in said
    assert "3 fatal errors within 10m: {peak} (burst)" in said
    marks = {record.payload["blocks"][0]["block_id"] for record in slack.records() if record.payload}
    assert len(marks) == 8


async def test_rehearsals_and_previews_leave_nothing(logs: Logs) -> None:
    """Only a real run is followed by another."""
    source = logs.write("log.csv", burst(1, 3))
    await logs.preview(source, 0, 24)
    await logs.run(source, 0, 24, dry_run=True)
    assert warning_codes(await logs.run(source, 24, 48)) == {"cold_start": 1}


async def test_what_is_too_large_for_a_checkpoint_is_refused(slack: RunningMock, tmp_path: Path) -> None:
    """The number that it needs is named, and nothing was sent."""
    async with opened(f"sqlite:///{tmp_path / 'l.db'}", slack, tmp_path, checkpoint_limit_mb=1) as logs:
        chance = random.Random(1)  # noqa: S311  # the same rows every time
        rows = [at(23.99, bundle=f"{chance.getrandbits(400):x}") for _ in range(25_000)]
        with pytest.raises(CheckpointTooLargeError, match="CHECKPOINT_LIMIT_MB=1"):
            await logs.run(logs.write("log.csv", [*burst(1, 3), *rows]), 0, 24)
        assert slack.records() == []


async def test_more_episodes_than_there_is_memory_for_are_refused(slack: RunningMock, tmp_path: Path) -> None:
    """Reminders count as they do; the number that is needed is named, and nothing was recorded or sent."""
    async with opened(f"sqlite:///{tmp_path / 'l.db'}", slack, tmp_path, memory_limit_mb=1) as logs:
        lasting = [at(hours, seconds=second) for hours in range(10) for second in range(0, 3_600, 200)]
        rows = [row for number in range(250) for row in burst(1, 3, bundle=f"com.{number}")]
        source = logs.write("log.csv", [*lasting, *rows])
        needed = r"260 episodes and reminders .* take 2 MB, more than MEMORY_LIMIT_MB=1"
        for attempt in (logs.preview, logs.run):
            with pytest.raises(MemoryLimitExceededError, match=needed):
                await attempt(source, 0, 24)
        assert slack.records() == []
        (record,) = (await logs.app.store.history.list_runs(limit=10)).items
        assert (record.status, record.counts.alerts) == (RunStatus.FAILED, 0)


async def test_runs_of_a_stream_come_one_after_another(logs: Logs, slack: RunningMock) -> None:
    """Two days at once: the second waits; another stream has alerts of its own."""
    source = logs.write("log.csv", [*burst(1, 3), *burst(25, 3)])
    records = await asyncio.gather(*(logs.run(source, day, day + 24) for day in (0, 24)))
    for record in records:
        assert_balanced(record)
    epochs = await Given(logs.app.store).sql("SELECT epoch FROM leases WHERE scope = 'log_rule:mobile'")
    assert epochs == [{"epoch": 2}]
    assert len(slack.records()) == 2
    other = await logs.run(source, 0, 24, stream="staging")
    assert (other.counts.alerts_sent, len(slack.records())) == (1, 3)
