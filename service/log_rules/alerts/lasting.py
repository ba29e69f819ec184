"""What lasts: the groups whose episodes are open at the end of a run; other open alerts are over. Pure."""

from collections.abc import Iterable, Iterator, Mapping

from service.domain.evaluation import Lasting
from service.log_rules.alerts.log_alert import LogAlert, digest_subject, instant_text, subject_of
from service.log_rules.findings import LogQuestion
from service.log_rules.memory import Memory
from service.log_rules.rule import FIRST_US


def lasting_of(
    question: LogQuestion, memories: Mapping[str, Memory], alerts: Iterable[LogAlert], *, stream: str
) -> Lasting:
    """Return which alerts of a stream last after a run; `memories` are what each rule leaves.

    A rule that began cold has not seen what went on before: of alerts that it did not find itself it ends
    those alone that no run has seen for `quiet`.
    """
    until = question.period.until_us
    subjects = frozenset(
        subject for rule_id, memory in memories.items() for subject in _subjects(stream, rule_id, memory)
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


def _subjects(stream: str, rule_id: str, memory: Memory) -> Iterator[str]:
    """Yield the groups that have an open episode, and what a flood of them is about."""
    if not memory.opened.size:
        return
    yield digest_subject(stream, rule_id)
    for place in memory.opened["group"].tolist():
        yield subject_of(stream, rule_id, *memory.keys[place])
