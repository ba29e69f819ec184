"""The alert type: all that is particular to one type of alerts, made by the wiring and handed down.

The order of sending comes with the type as well: it is the order in which an evaluation lists its alerts.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Protocol

from service.domain.alert import Alert, Fact
from service.domain.lifecycle.problem import Problem


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """A labelled value; it may hold whatever a data file holds."""

    label: str
    value: str | None
    if_blank: str | None = None
    """What stands there where the value is missing or blank; None leaves the line out."""


def ranked_lines(texts: str) -> tuple[Line, ...]:
    """Return what a digest names, worst first, from one text with a line for each; none for an empty one."""
    return tuple(
        Line(label="Then" if place else "Worst", value=text) for place, text in enumerate(texts.splitlines())
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """One alert in words."""

    headline: str
    name: str
    """Stands behind the headline; cut from its end where it is too long."""
    key: str
    """What a person searches for; stands in brackets behind the name, however long that is."""
    lines: tuple[Line, ...]
    lists: tuple[tuple[str, ...], ...] = ()
    """Stand below, each with its first line for a title; of one, no more than twelve lines are shown."""
    url: str | None = None
    """Where to read on."""
    link_text: str = ""
    without_link: str = ""
    """Stands in the link's place where it is too long for one."""
    is_worked_on: bool = True
    """Whether it is about an alert that people acknowledge and resolve."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """Where something else stands, in words."""

    text: str
    url: str | None
    """None where nobody could say: the words stand alone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """What support reads about alerts that no channel is configured for."""

    subject: str
    explanation: tuple[str, ...]
    about: str
    """The period, labelled as the type calls it."""


class Routes(Protocol):
    """The ways to channels that there are."""

    def of(self, region: str | None) -> str | None:
        """Return the channel that a route leads to, matched exactly; None: to none."""

    def named(self, channel: str) -> str | None:
        """Return a channel that is named itself; None where it cannot be reached."""


class AlertWords(Protocol):
    """One type of alert in words, and where its alerts go."""

    @property
    def name(self) -> str:
        """Part of the identity of its alerts."""

    def message(self, alert: Alert) -> Message:
        """Return what a person reads about an alert."""

    def problem(self, alert: Alert) -> Problem:
        """Return what makes an occurrence part of an alert that people work on."""

    def channel(self, alert: Alert, routes: Routes) -> str | None:
        """Return where an alert goes: where its route leads, or a channel that it names; None: nowhere."""

    def why_unrouted(self, alert: Alert) -> str:
        """Say why an alert has no channel."""

    def notice_line(self, alert: Alert) -> str:
        """Return an alert's line in the list of those without a channel, which support reads."""


class AlertType(AlertWords, Protocol):
    """What is particular to the alerts of one kind of run: their words, their order, what is restated."""

    @property
    def restatable(self) -> Collection[str]:
        """The facts of which a sent alert is reported as restated when the data say otherwise later."""

    @property
    def wording(self) -> Mapping[str, Fact]:
        """The settings that its messages depend on: they are part of a plan's digest."""

    def notice(self, count: int, period: str | None) -> Notice:
        """Return what support reads above the list of a run's alerts without a channel."""
