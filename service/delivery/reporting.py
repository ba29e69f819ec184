"""Delivery news: tells the log and the progress bars what becomes of a run's alerts while they are sent."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from service.delivery.lane_queue import Delivery, OutgoingLane
from service.domain.delivery_status import DeliveryStatus, Outcome, Reason
from service.domain.progress import Progress
from service.store import Settlement, UntriedAlert
from service.telemetry.events import Observer

_FINAL: Final = {
    DeliveryStatus.SENT: Outcome.SENT,
    DeliveryStatus.FAILED: Outcome.FAILED,
    DeliveryStatus.UNKNOWN: Outcome.UNKNOWN,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliveryNews:
    """Tells of one run's deliveries."""

    run_id: str
    observer: Observer
    progress: Progress

    def settled(self, lane: OutgoingLane, delivery: Delivery, settlement: Settlement, wait_s: float) -> None:
        """Tell what an answer meant for an alert; `wait_s` is how long it waits where it is tried again."""
        entry = delivery.entry
        if settlement.retry_after_s is not None:
            self.observer.lane_paused(
                run_id=self.run_id,
                channel=lane.name,
                reason=Reason.RATE_LIMITED,
                pause_s=settlement.retry_after_s,
            )
        outcome = _FINAL.get(settlement.status)
        if outcome is not None:
            if outcome is Outcome.SENT:
                self.progress.sent_by_channel[entry.channel] += 1
            self._decided(outcome)
            self.observer.alert_settled(
                run_id=self.run_id,
                alert=entry,
                channel=entry.channel,
                outcome=outcome,
                reason=settlement.reason,
                http_status=settlement.http_status,
                attempts=delivery.posts,
            )
        elif settlement.posted:
            self.observer.alert_retried(
                run_id=self.run_id,
                alert=entry,
                channel=entry.channel,
                reason=settlement.reason,
                http_status=settlement.http_status,
                attempts=delivery.posts,
                wait_s=wait_s,
            )

    def left(
        self, lane: OutgoingLane, alerts: Sequence[UntriedAlert], outcome: Outcome, reason: Reason
    ) -> None:
        """Tell of the alerts that a lane did not come to."""
        if not alerts:
            return
        self.observer.lane_ended(
            run_id=self.run_id, channel=lane.name, reason=reason, alerts_untried=len(alerts)
        )
        posts = {delivery.entry.alert_id: delivery.posts for _, _, delivery in lane.retries}
        for alert in alerts:
            self._decided(outcome)
            self.observer.alert_settled(
                run_id=self.run_id,
                alert=alert,
                channel=alert.channel,
                outcome=outcome,
                reason=reason,
                http_status=None,
                attempts=posts.get(alert.alert_id, 0),
            )

    def _decided(self, outcome: Outcome) -> None:
        self.progress.alerts_settled += 1
        self.progress.alerts_failed += outcome is Outcome.FAILED
