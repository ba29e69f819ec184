"""Which alert an occurrence belongs to: decided by the data's months, whenever they are evaluated."""

from typing import Any

import pytest

from service.domain.lifecycle.alert_status import AlertStatus, Resolution
from service.domain.lifecycle.problem import Joining, KnownAlert, alerts_again, join

JAN, FEB, MAR, APR, MAY = (f"2026-{number:02}-01" for number in range(1, 6))


def known(alert_id: str, **changes: Any) -> KnownAlert:
    """Return an open alert of one streak that ends in March."""
    ordinary: dict[str, Any] = {
        "alert_id": alert_id,
        "status": AlertStatus.TRIGGERED,
        "resolution": None,
        "began": FEB,
        "last_period": MAR,
        "evaluated_period": MAR,
    }
    return KnownAlert(**ordinary | changes)


def over(alert_id: str, resolution: Resolution, **changes: Any) -> KnownAlert:
    """Return one that is resolved."""
    return known(alert_id, status=AlertStatus.RESOLVED, resolution=resolution, **changes)


EARLIER = over("earlier", Resolution.RECOVERED, began=JAN, last_period=JAN, evaluated_period=FEB)


@pytest.mark.parametrize(
    ("others", "began", "period", "expected"),
    [
        ([], MAR, MAR, ("create", None)),
        ([known("a")], FEB, APR, ("join", "a")),
        ([known("a", status=AlertStatus.ACKNOWLEDGED)], FEB, APR, ("join", "a")),
        ([known("a")], MAY, MAY, ("join", "a")),
        ([over("a", Resolution.PERSON)], MAR, APR, ("reopen", "a")),
        ([over("a", Resolution.MIGRATED)], FEB, APR, ("reopen", "a")),
        ([over("a", Resolution.RECOVERED)], MAY, MAY, ("create", "a")),
        ([over("a", Resolution.PERSON)], APR, APR, ("create", "a")),
        ([over("a", Resolution.PERSON), EARLIER], MAR, APR, ("reopen", "a")),
        # An old month, evaluated late.
        ([over("a", Resolution.PERSON)], FEB, FEB, ("join", "a")),
        ([known("a")], JAN, FEB, ("join", "a")),
        ([known("a")], JAN, JAN, ("create_ended", None)),
        ([known("a"), EARLIER], JAN, JAN, ("join", "earlier")),
        ([known("a", began=MAR), EARLIER], FEB, FEB, ("create_ended", "earlier")),
        ([over("a", Resolution.RECOVERED, evaluated_period=MAY)], FEB, APR, ("join", "a")),
        ([over("a", Resolution.RECOVERED, evaluated_period=MAY)], APR, APR, ("create_ended", "a")),
    ],
)
def test_an_occurrence_belongs_to_the_alert_of_its_streak(
    others: list[KnownAlert], began: str, period: str, expected: tuple[str, str | None]
) -> None:
    """While an alert is open, later months join it; a late one changes no status, whatever it joins."""
    for order in (others, others[::-1]):
        how, alert = join(order, began=began, period=period)
        assert (how, alert and alert.alert_id) == (Joining(expected[0]), expected[1])


def test_an_occurrence_is_late_where_its_data_end_earlier() -> None:
    """What counts is how far the data were evaluated, which may be beyond the period of the occurrence."""
    alert = over("a", Resolution.RECOVERED, evaluated_period=MAY)
    assert join([alert], began=APR, period=APR, until=APR)[0] is Joining.CREATE_ENDED
    assert join([alert], began=APR, period=APR, until=MAY)[0] is Joining.CREATE


def test_a_month_that_is_at_risk_after_all_reopens_what_it_ended() -> None:
    """The same month says otherwise now; what a person resolved, and what a newer month ended, stays so."""
    assert alerts_again(over("a", Resolution.WITHDRAWN), MAR)
    assert alerts_again(over("a", Resolution.RECOVERED), MAR)
    assert not alerts_again(over("a", Resolution.RECOVERED, evaluated_period=APR), MAR)
    assert not alerts_again(over("a", Resolution.PERSON), MAR)
    assert not alerts_again(over("a", Resolution.MIGRATED), MAR)
    assert not alerts_again(known("a"), MAR)
