"""A mock inside the test's own process, on a clock that the test moves."""

from typing import Any

import orjson
from starlette.testclient import TestClient

from mock_slack.log import Record
from mock_slack.stats import Counts, Report


class FakeClock:
    """Seconds that pass when the test says so."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        """Return the time, seconds."""
        return self.now


class Mock:
    """What the tests do with a mock, each in one call; `http` is the client for everything else."""

    def __init__(self, http: TestClient, clock: FakeClock) -> None:
        self.http = http
        self.clock = clock

    def post(self, payload: Any, channel: str = "amer", **headers: str) -> tuple[int, str]:
        """Post a message and return the answer's status and body."""
        body = payload if isinstance(payload, bytes) else orjson.dumps(payload)
        response = self.http.post(f"/slack/webhook/{channel}", content=body, headers=headers)
        return response.status_code, response.text

    def script(self, *steps: dict[str, Any], channel: str = "amer") -> None:
        """Lay down the next answers of a channel."""
        assert self.http.post(f"/script/{channel}", json=list(steps)).status_code == 200

    def records(self, limit: int = 100) -> list[Record]:
        """Return the last records."""
        return [Record(**each) for each in self.http.get("/logs", params={"limit": limit}).json()["records"]]

    def report(self) -> Report:
        """Return the statistics."""
        return Report.model_validate_json(self.http.get("/stats").content)

    def counts(self, channel: str = "amer") -> Counts:
        """Return the statistics of one channel."""
        return self.report().channels[channel]


def alert(alert_id: str, text: str = "at risk") -> dict[str, Any]:
    """Return a message about an alert, named in its first block as the service names it."""
    return {"text": text, "blocks": [{"type": "divider", "block_id": f"risk_alert.{alert_id}"}]}
