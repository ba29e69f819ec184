"""What lasts: the groups whose episodes are open at the end of a run; other open alerts are over. Pure."""

from collections.abc import Iterable, Iterator, Mapping

from service.domain.evaluation import Lasting
from service.log_rules.alerts.log_alert import LogAlert, digest_subject, instant_text, subject_of
from service.log_rules.findings import LogQuestion
from service.log_rules.memory import Memory
from service.log_rules.rule import FIRST_US, Rule


def lasting_of(
    question: LogQuestion, memories: Mapping[str, Memory], alerts: Iterable[LogAlert], *, stream: str
) -> Lasting:
    """Return which alerts of a stream last after a run; `memories` are what each rule leaves.

    A rule that began cold has not seen what went on before: of alerts that it did not find itself it ends
    those alone that no run has seen for `quiet`.
    """
    until = question.period.until_us
    subjects = frozenset(
        subject for rule in question.rules.rules for subject in _subjects(stream, rule, memories[rule.id])
    )
    return Lasting(
        until=instant_text(until),
        begins=f"{stream}/",
        rules={
            rule.id: instant_text(
                until if rule.id in question.before.memories else max(until - rule.quiet_us, FIRST_US)
            )
            for rule in question.rules.rules
        },
        subjects=subjects,
        ended=frozenset(alert.subject for alert in alerts) - subjects,
    )


def _subjects(stream: str, rule: Rule, memory: Memory) -> Iterator[str]:
    """Yield the groups that have an open episode, and what floods of them are about."""
    for place in memory.opened["group"].tolist():
        group = memory.keys[place]
        yield subject_of(stream, rule.id, *group)
        yield digest_subject(stream, rule.id, rule.route_of(group))
