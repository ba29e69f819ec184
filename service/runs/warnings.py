"""Warnings of runs and previews about their deliveries. Pure."""

from collections.abc import Mapping

from service.domain.evaluation import RunWarning
from service.domain.progress import Progress


def nothing_arrived(progress: Progress) -> tuple[RunWarning, ...]:
    """Warn where every delivery of a run failed."""
    if progress.alerts_failed < progress.alerts_queued:
        return ()
    detail = f"every one of the {progress.alerts_queued} deliveries of this run failed"
    return (RunWarning(code="all_deliveries_failed", count=progress.alerts_queued, detail=detail),)


def without_channel(count: int) -> tuple[RunWarning, ...]:
    """Warn of alerts that have no channel to go to."""
    if not count:
        return ()
    detail = f"{count} alerts have a region without a channel"
    return (RunWarning(code="unknown_region", count=count, detail=detail),)


def undelivered_alerts(undelivered: Mapping[str, int]) -> tuple[RunWarning, ...]:
    """Warn of the alerts of all months that have not gone out, counted by status."""
    if not undelivered:
        return ()
    states = ", ".join(f"{count} {status}" for status, count in sorted(undelivered.items()))
    detail = f"alerts of all months that have not gone out: {states}"
    return (RunWarning(code="undelivered_alerts", count=sum(undelivered.values()), detail=detail),)
