"""What a run changed of what people work on: who is new, who goes on, and who has recovered. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum


class ChangeKind(StrEnum):
    """What a run meant for an account, in the order in which people ask."""

    NEW = "new"
    """Its alert began with this run."""
    REOPENED = "reopened"
    """Its alert was resolved, and is open again."""
    CONTINUING = "continuing"
    """Its alert was there before."""
    RECOVERED = "recovered"
    """Its alert was resolved: the data show that it is over."""
    WITHDRAWN = "withdrawn"
    """An earlier run over the same source had it in this month, and the data no longer have."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SubjectChange:
    """What a run meant for one account, or whatever else alerts are about."""

    change: ChangeKind
    alert_id: str
    """Of the alert that people work on."""
    subject: str
    name: str | None
    route: str | None
    arr: int | None
    """As alerted; None where it is unknown, or the type knows none."""
    channel: str | None = None
    """Where its message went, or was to go."""


def in_order(one: SubjectChange) -> tuple[int, bool, int, str]:
    """Return what changes are sorted by: by kind, then by ARR, highest first, unknown last."""
    return list(ChangeKind).index(one.change), one.arr is None, -(one.arr or 0), one.subject


@dataclass(frozen=True, slots=True, kw_only=True)
class RouteTotal:
    """How many accounts of a region, and how much they pay, by what changed."""

    route: str | None
    change: ChangeKind
    count: int
    arr: int
    """The sum of those that are known."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunChanges:
    """All that a run changed."""

    run_id: str
    period: str | None
    changes: tuple[SubjectChange, ...]
    """As `in_order` has them."""

    def totals(self) -> list[RouteTotal]:
        """Return the totals of each region, by name, the unknown region last."""
        return totals_of(self.changes)

    def first(self, limit: int) -> list[SubjectChange]:
        """Return the first `limit` of each kind."""
        return [
            one
            for kind in ChangeKind
            for one in [each for each in self.changes if each.change is kind][:limit]
        ]


def totals_of(changes: Iterable[SubjectChange]) -> list[RouteTotal]:
    """Count changes by region and kind."""
    counts: dict[tuple[str | None, ChangeKind], tuple[int, int]] = {}
    for one in changes:
        count, arr = counts.get((one.route, one.change), (0, 0))
        counts[one.route, one.change] = count + 1, arr + (one.arr or 0)
    kinds = list(ChangeKind)
    in_order = sorted(counts, key=lambda key: (key[0] is None, key[0] or "", kinds.index(key[1])))
    return [
        RouteTotal(route=route, change=kind, count=counts[route, kind][0], arr=counts[route, kind][1])
        for route, kind in in_order
    ]
