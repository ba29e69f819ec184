"""What a service says of itself: runs and alerts as its API tells them."""

from typing import Any

import httpx2

from tests.support.starting import PATIENCE_S, Running


def ask(service: Running, path: str, **query: object) -> dict[str, Any]:
    """GET an answer; raises AssertionError if it is none."""
    given = {name: str(value) for name, value in query.items() if value is not None}
    response = httpx2.get(f"{service.url}{path}", params=given, timeout=PATIENCE_S)
    assert response.status_code == 200, response.text
    answer: dict[str, Any] = response.json()
    return answer


def alerts_of(service: Running, run_id: str) -> dict[str, str]:
    """Return the outcome of every alert of a run, by alert id."""
    outcomes: dict[str, str] = {}
    cursor = None
    while True:
        page = ask(service, f"/runs/{run_id}/alerts", limit=200, cursor=cursor)
        outcomes |= {row["alert_id"]: row["outcome"] for row in page["alerts"]}
        cursor = page["next_cursor"]
        if cursor is None:
            return outcomes
