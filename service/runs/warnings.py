"""Warnings of runs and previews about their deliveries. Pure."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Final

from service.delivery.channels import Channels
from service.delivery.policy import DeliveryPolicy
from service.domain.evaluation import RunWarning
from service.domain.lifecycle.run_changes import SubjectChange

if TYPE_CHECKING:
    from service.delivery.reporting import GivenUpLane


_DESTINATION_FAILED: Final = "destination_failed"
_NAMED: Final = 20
_SHOWN: Final = 100
"""Characters of an account's id."""


def late_lanes(
    sends: Mapping[str, int], channels: Channels, policy: DeliveryPolicy
) -> tuple[RunWarning, ...]:
    """Warn of each lane that cannot send its alerts before the delivery deadline; `sends` is by channel.

    It is given the lane to itself and no retry: the first alert leaves at once, then one each interval.
    """
    pace, deadline_s = policy.messages_per_second, policy.deadline_s
    of_lane: Counter[str] = Counter()
    for channel, count in sends.items():
        of_lane[channels.lane_of(channel)] += count
    late = {lane: count for lane, count in of_lane.items() if pace and (count - 1) / pace >= deadline_s}
    return tuple(
        RunWarning(
            code="deadline_too_short",
            count=count - int(deadline_s * pace),
            detail=f"{lane} needs {(count - 1) / pace:,.0f} s for {count:,} alerts, and DELIVERY_DEADLINE_S "
            f"ends a run's deliveries after {deadline_s:,.0f} s: the next run of the period sends the rest",
        )
        for lane, count in late.items()
    )


def destinations_failed(given_up: "Sequence[GivenUpLane]") -> tuple[RunWarning, ...]:
    """Warn of each lane that was given up because its destination failed."""
    return tuple(
        RunWarning(code=_DESTINATION_FAILED, count=lane.alerts, detail=f"{lane.named}: {lane.why}")
        for lane in given_up
    )


def of_destinations(warnings: Sequence[RunWarning]) -> tuple[RunWarning, ...]:
    """Return those of a run's warnings that are about lanes that were given up."""
    return tuple(warning for warning in warnings if warning.code == _DESTINATION_FAILED)


def without_channel(count: int) -> tuple[RunWarning, ...]:
    """Warn of alerts that have no channel to go to."""
    if not count:
        return ()
    detail = f"{count} alerts have no channel configured"
    return (RunWarning(code="unknown_region", count=count, detail=detail),)


def would_recover(recovering: Sequence[SubjectChange]) -> tuple[RunWarning, ...]:
    """Say whose open alerts a dry run would have ended; it leaves nothing else that says so."""
    if not recovering:
        return ()
    named = ", ".join(one.subject[:_SHOWN] for one in recovering[:_NAMED])
    more = len(recovering) - _NAMED
    detail = f"would be resolved as recovered: {named}"
    return (
        RunWarning(
            code="would_recover",
            count=len(recovering),
            detail=f"{detail} and {more} more" if more > 0 else detail,
        ),
    )


def undelivered_alerts(undelivered: Mapping[str, int]) -> tuple[RunWarning, ...]:
    """Warn of the alerts of all runs that have not gone out, counted by status."""
    if not undelivered:
        return ()
    states = ", ".join(f"{count} {status}" for status, count in sorted(undelivered.items()))
    detail = f"alerts of all runs that have not gone out: {states}"
    return (RunWarning(code="undelivered_alerts", count=sum(undelivered.values()), detail=detail),)
