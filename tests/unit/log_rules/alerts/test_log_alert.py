"""An alert about a log says what the person on call needs, and is known again in every run."""

from dataclasses import replace

import pytest

from service.delivery.slack.message import render
from service.log_rules.alerts.log_alert import LogAlert
from service.log_rules.alerts.log_rule import LogRuleAlert
from service.log_rules.episode import Episode
from service.log_rules.rule import Rule

HOUR = 3_600_000_000
MIDNIGHT = 1_767_312_000_000_000
RULE = Rule(
    id="fatal_per_bundle",
    title="{peak} fatal errors within {window}: {group}",
    where=(("severity", ("fatal",)),),
    group_by=("bundle_id",),
    more_than=10,
    window_us=HOUR,
    quiet_us=HOUR,
    repeat_us=24 * HOUR,
    severity="critical",
    channel="on-call",
)
EPISODE = Episode(
    group=("com.a",),
    onset=MIDNIGHT - 60_000_000,
    start=MIDNIGHT + 1_500_000,
    last=MIDNIGHT + 90_000_000,
    peak=1_014,
    peak_at=MIDNIGHT + 60_000_000,
    events=1_020,
    violations=9,
    known_until=MIDNIGHT,
    continued=False,
    is_minimum=False,
)


def alert_of(
    episode: Episode = EPISODE, rule: Rule = RULE, number: int = 0, stream: str = "mobile"
) -> LogAlert:
    """Return an alert."""
    return LogAlert.of(rule, episode, number=number, stream=stream, tenant_id="t")


def text_of(alert: LogAlert) -> list[str]:
    """Return the lines of its message."""
    payload = render(alert, LogRuleAlert().message(alert))
    assert len(payload["blocks"]) == 2  # no link leads anywhere
    return str(payload["text"]).splitlines()


def test_the_message_is_read_at_a_glance() -> None:
    """What, where, how much, since when, and whether it goes on."""
    assert text_of(alert_of()) == [
        "🚨 1,014 fatal errors within 1h: com.a (fatal_per_bundle)",
        "Group: com.a",
        "Limit: more than 10 within 1h",
        "Peak: 1,014 at 2026-01-02 00:01:00 UTC",
        "Events: 1,020 since 2026-01-01 23:59:00 UTC",
        "Over the limit from: 2026-01-02 00:00:01 UTC",
        "Last seen over it: 2026-01-02 00:01:30 UTC",
        "Severity: critical",
        "Log: mobile",
    ]


def test_a_reminder_says_so_and_a_cold_start_that_it_may_have_begun_earlier() -> None:
    """A rule that counts all together has no group to show."""
    rule = replace(RULE, group_by=(), title="{events} events, limit {threshold}", severity=None)
    lines = text_of(alert_of(replace(EPISODE, group=(), is_minimum=True), rule, number=2))
    assert lines[0] == "⚠️ Still: 1,020 events, limit 10 (fatal_per_bundle)"
    assert lines[3:5] == [
        "Events: 1,020 since 2026-01-01 23:59:00 UTC or earlier",
        "Over the limit from: 2026-01-02 00:00:01 UTC or earlier",
    ]
    assert not [line for line in lines if line.startswith(("Group", "Severity"))]


def test_support_reads_which_stream_rule_and_group_have_no_channel() -> None:
    """The period in words, and what should lead to a channel: the group's route, or the rule's channel."""
    notice = LogRuleAlert().notice(2, "2026-01-02T00:00:00/2026-01-03T00:00:00")
    assert notice.subject == (
        "Log rules, 2026-01-02 00:00:00 to 2026-01-03 00:00:00 UTC: 2 alerts without a Slack channel"
    )
    assert notice.about == "Period: 2026-01-02 00:00:00 to 2026-01-03 00:00:00 UTC"
    by_route = replace(RULE, channel=None, route="bundle_id")
    lines = [LogRuleAlert().notice_line(alert_of(rule=rule)) for rule in (RULE, by_route)]
    assert lines == [
        "mobile | fatal_per_bundle | com.a | 2026-01-02 00:00:01 UTC | channel on-call",
        "mobile | fatal_per_bundle | com.a | 2026-01-02 00:00:01 UTC | route 'com.a'",
    ]


def test_an_alert_is_known_by_stream_rule_group_start_and_number() -> None:
    """What it counted is not part of it; whatever a group's values hold, no two groups are one."""
    same = [alert_of(), alert_of(replace(EPISODE, peak=2, last=EPISODE.last + 1, continued=True))]
    two = replace(RULE, group_by=("a", "b"))
    groups = [("a/b", "c"), ("a", "b/c"), ("a%2Fb", "c"), ("", ""), ("(none)", ""), ("x" * 2_000, "1")]
    others = [
        alert_of(stream="staging"),
        alert_of(rule=replace(RULE, id="other")),
        alert_of(replace(EPISODE, start=EPISODE.start + 1)),
        alert_of(number=1),
        alert_of(number=2),
        *(alert_of(replace(EPISODE, group=group), two) for group in groups),
        alert_of(replace(EPISODE, group=("x" * 2_000, "2")), two),
    ]
    assert len({each.alert_id for each in same}) == 1
    assert len({each.alert_id for each in (*same, *others)}) == 1 + len(others)
    assert max(len(each.subject.encode()) for each in others) <= 1_000


def test_a_route_is_the_groups_value_of_its_column() -> None:
    """A rule with a fixed channel has none."""
    rule = replace(RULE, group_by=("bundle_id", "country"), channel=None, route="country")
    assert alert_of(replace(EPISODE, group=("com.a", "de")), rule).route == "de"
    assert alert_of().route is None


@pytest.mark.parametrize(
    ("severity", "expected"), [("critical", "critical"), ("High", "high"), ("P1", "medium")]
)
def test_what_people_work_on_has_a_severity_of_theirs(severity: str, expected: str) -> None:
    """A word of the rule's own is shown in the message, and counts as medium."""
    problem = LogRuleAlert().problem(alert_of(rule=replace(RULE, severity=severity)))
    assert (str(problem.severity), problem.rule_name) == (expected, "fatal_per_bundle")
    assert problem.began == "2026-01-02T00:00:01.500000Z"
