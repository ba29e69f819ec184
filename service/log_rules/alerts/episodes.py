"""What a run has to say: its episodes and their reminders become alerts, very many of one rule one digest."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from service.log_rules.alerts.log_alert import LogAlert
from service.log_rules.episode import Episode
from service.log_rules.findings import LogFindings
from service.log_rules.rule import Rule


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """All alerts of a run."""

    alerts: tuple[LogAlert, ...]
    """In the order of sending: digests first, then by the start of the episodes."""
    in_digest: frozenset[str]
    """Ids of those that a digest stands for."""
    reminders: int
    digests: int


def alerts_of(
    findings: LogFindings,
    *,
    period: str,
    stream: str,
    tenant_id: str,
    most_of_a_rule: int,
) -> Said:
    """Return the alerts of a run; above `most_of_a_rule` of one rule they go out as one digest a route."""
    of = {"stream": stream, "tenant_id": tenant_id}
    digests: list[LogAlert] = []
    placed: list[tuple[tuple[int, int, tuple[str, ...], int], LogAlert]] = []
    in_digest: set[str] = set()
    reminders = 0
    for place, found in enumerate(findings.rules):
        rule, due = found.rule, list(_due(found.rule, found.episodes))
        digest_of: dict[str | None, LogAlert] = {}
        if len(due) > most_of_a_rule:
            digest_of = {
                route: LogAlert.digest_of(rule, episodes, alerts=alerts, period=period, **of)
                for route, (episodes, alerts) in _by_route(rule, due).items()
            }
            digests += digest_of.values()
        made = [
            LogAlert.of(
                rule, episode, number=number, digest=digest_of.get(rule.route_of(episode.group)), **of
            )
            for episode, number in due
        ]
        if digest_of:
            in_digest |= {alert.alert_id for alert in made}
        placed += [
            ((episode.start, place, episode.group, number), alert)
            for (episode, number), alert in zip(due, made, strict=True)
        ]
        reminders += sum(number > 0 for _, number in due)
    placed.sort(key=lambda one: one[0])
    return Said(
        alerts=(*digests, *(alert for _, alert in placed)),
        in_digest=frozenset(in_digest),
        reminders=reminders,
        digests=len(digests),
    )


def _by_route(
    rule: Rule, due: Sequence[tuple[Episode, int]]
) -> Mapping[str | None, tuple[Sequence[Episode], int]]:
    """Return the episodes that have alerts, each once, and the number of these, by where they lead."""
    parts: dict[str | None, list[Episode]] = {}
    for episode, _ in due:
        parts.setdefault(rule.route_of(episode.group), []).append(episode)
    return {
        route: (list({id(episode): episode for episode in part}.values()), len(part))
        for route, part in parts.items()
    }


def _due(rule: Rule, episodes: Sequence[Episode]) -> Iterator[tuple[Episode, int]]:
    """Yield each new episode as number 0, and each reminder with its number."""
    for episode in episodes:
        if not episode.continued:
            yield episode, 0
        for number in episode.reminders(rule.repeat_us):
            yield episode, number
