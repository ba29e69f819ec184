"""The alert of a rule over a log: an episode, a reminder that it lasts, or a digest of very many. Pure."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar, Final, Self

from service.domain.alert import Fact, alert_id_of
from service.log_rules.alerts.log_rule import LOG_RULE
from service.log_rules.episode import Episode, GroupKey
from service.log_rules.rule import Rule, instant_of
from service.log_rules.rules_file import duration_text

NO_VALUE: Final = "(none)"
"""How a missing value of a group is shown."""
_LONGEST_SUBJECT: Final = 1_000
"""In bytes: databases have no room for more in an index."""
_LONGEST_GROUP: Final = 500
"""Characters of a group that are kept to be shown."""
_WORST: Final = 5
_ESCAPES: Final = {ord(mark): f"%{ord(mark):02X}" for mark in "%/#\0"}


@dataclass(frozen=True, kw_only=True)
class LogAlert:
    """One alert. Its id is the same in every run, however the log is divided into runs."""

    tenant_id: str
    subject: str
    """Stream, rule and group: one open alert for people to work on, whatever its episodes."""
    period: str
    """The first violation; of a reminder the instant from which it is due, at which no episode begins."""
    route: str | None
    facts: Mapping[str, Fact]

    alert_type: ClassVar[str] = LOG_RULE

    @cached_property
    def alert_id(self) -> str:
        """The same for the same stream, rule, group, start and number: the last two make the period."""
        return alert_id_of(
            tenant_id=self.tenant_id, alert_type=LOG_RULE, subject=self.subject, period=self.period
        )

    @classmethod
    def of(
        cls,
        rule: Rule,
        episode: Episode,
        *,
        number: int,
        stream: str,
        tenant_id: str,
        digest: "LogAlert | None" = None,
    ) -> Self:
        """Return the alert of an episode, or its reminder of this number; with the `digest` it is part of."""
        group = group_text(episode.group)
        return cls(
            tenant_id=tenant_id,
            subject=subject_of(stream, rule.id, *episode.group),
            period=instant_text(episode.start + number * (rule.repeat_us or 0)),
            route=_route(rule.route_of(episode.group)),
            facts={
                **_of_rule(rule, stream),
                "title": _title(rule, episode, group),
                "group": group,
                "onset": instant_text(episode.onset),
                "start": instant_text(episode.start),
                "last": instant_text(episode.last),
                "peak": episode.peak,
                "peak_at": instant_text(episode.peak_at),
                "events": episode.events,
                "violations": episode.violations,
                "start_is_minimum": episode.is_minimum,
                "repeat": number,
                **({} if digest is None else {"digest": digest.alert_id}),
            },
        )

    @classmethod
    def digest_of(
        cls, rule: Rule, episodes: Sequence[Episode], *, alerts: int, period: str, stream: str, tenant_id: str
    ) -> Self:
        """Return the one alert that stands for very many of one rule, run and route."""
        route = rule.route_of(episodes[0].group)
        worst = sorted(episodes, key=lambda one: (-one.peak, one.start, one.group))[:_WORST]
        groups = {episode.group for episode in episodes}
        return cls(
            tenant_id=tenant_id,
            subject=digest_subject(stream, rule.id, route),
            period=period,
            route=_route(route),
            facts={
                **_of_rule(rule, stream),
                "period": period,
                "alerts_in_digest": alerts,
                "episodes": len(episodes),
                "groups": len(groups),
                "peak": worst[0].peak,
                "worst": "\n".join(
                    f"{_one_line(one.group) or 'all'}: {one.peak:,} at {_shown(one.peak_at)}" for one in worst
                ),
            },
        )


def group_text(group: GroupKey) -> str:
    """Return a group as people read it; empty for a rule that counts all together."""
    return _storable(", ".join(value or NO_VALUE for value in group))[:_LONGEST_GROUP]


def _one_line(group: GroupKey) -> str:
    return " ".join(group_text(group).split())


def instant_text(us: int) -> str:
    """Return an instant so that texts sort as instants do: `2026-01-31T23:59:58.000000Z`."""
    return instant_of(us).replace(tzinfo=None).isoformat(timespec="microseconds") + "Z"


def _shown(us: int) -> str:
    """Return an instant as people read it: to the second."""
    return f"{instant_of(us).replace(tzinfo=None).isoformat(sep=' ', timespec='seconds')} UTC"


def _of_rule(rule: Rule, stream: str) -> dict[str, Fact]:
    return {
        "stream": stream,
        "rule": rule.id,
        "severity": rule.severity,
        "channel": rule.channel,
        "more_than": rule.more_than,
        "window": duration_text(rule.window_us),
    }


def _title(rule: Rule, episode: Episode, group: str) -> str:
    return rule.title.format(
        peak=f"{episode.peak:,}",
        group=group,
        window=duration_text(rule.window_us),
        threshold=f"{rule.more_than:,}",
        events=f"{episode.events:,}",
        rule=rule.id,
    )


def subject_of(*parts: str) -> str:
    """Join names so that no two lists of them give the same text; a long one ends in a digest of itself."""
    text = "/".join(part.translate(_ESCAPES) for part in parts)
    if len(text.encode("utf-8", "replace")) <= _LONGEST_SUBJECT:
        return text
    digest = hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()
    return f"{text[:200]}…{digest}"


def digest_subject(stream: str, rule_id: str, route: str | None) -> str:
    """Return what the digests of a rule and route are about; no group is spelled so."""
    return f"{subject_of(stream, rule_id, *(() if route is None else (route,)))}#digest"


def _route(value: str | None) -> str | None:
    return None if value is None else _storable(value)[:_LONGEST_GROUP]


def _storable(text: str) -> str:
    # PostgreSQL keeps no NUL, in text or JSON.
    return text.replace("\0", "\ufffd")
