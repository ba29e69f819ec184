"""The examples: what the API answers about a real source, written for the documentation.

`python -m mock_slack.examples SOURCE FOLDER` previews and runs the month of the committed examples against
the mock Slack, runs it again over restated data, settles a doubt, cancels a run, and writes the answers. The
folder of the source is left out of them: it is a path of the machine that made them.
"""

import json
import shutil
import sys
import tempfile
import time
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from mock_slack.side_by_side import get, post, service_beside_mock

MONTH: Final = "2026-01-01"
MONTH_CANCELLED: Final = "2025-12-01"
SHOWN_FOLDER: Final = "file:///data"
DECISION: Final = {"as": "sent", "note": "It is in the channel.", "by": "ann"}


def main(source: Path, into: Path) -> None:
    """Write the examples; raises OSError where the service refuses the source."""
    with tempfile.TemporaryDirectory(prefix="risk-alerts-examples-") as folder:
        copy = Path(shutil.copy(source, folder))
        request = {"source_uri": f"file://{copy}", "month": MONTH}
        with service_beside_mock(Path(folder), messages_per_second=20) as (service, slack):
            preview = post(f"{service}/preview", request)
            run = _run(service, request)
            answers = {"preview": preview, "run": run} | _restated(service, slack, copy, preview["alerts"])
            pages = {"service": "/", "live": "/live", "healthy": "/health"}
            answers["health"] = {name: get(f"{service}{path}") for name, path in pages.items()}
            answers["running"] = _cancelled(service, request | {"month": MONTH_CANCELLED})
            table = _csv(f"{service}/runs/{run['run_id']}/alerts?limit=2")
        (into / "alerts.csv").write_bytes(table)
        for name, answer in answers.items():
            text = json.dumps(answer, indent=2, ensure_ascii=False).replace(f"file://{folder}", SHOWN_FOLDER)
            (into / f"{name}.json").write_text(text + "\n", encoding="utf-8")


def _run(service: str, request: dict[str, Any]) -> Any:
    return get(f"{service}/runs/{post(f'{service}/runs', request)['run_id']}")


def _csv(url: str) -> bytes:
    with urllib.request.urlopen(urllib.request.Request(url, headers={"Accept": "text/csv"})) as answer:  # noqa: S310  # http to this machine
        content: bytes = answer.read()
    return content


def _restated(service: str, slack: str, source: Path, alerts: list[dict[str, Any]]) -> dict[str, Any]:
    """Restate the data: one account is worth more, two are no longer At Risk, and one has a region now."""
    worth_more, gone = alerts[:2]
    unrouted, gone_too = [alert for alert in alerts if alert["channel"] is None][:2]
    table = pq.read_table(source)
    ids, is_now = table["account_id"], pc.equal(table["month"].cast(pa.date32()), date.fromisoformat(MONTH))

    def changed(column: str, account: dict[str, Any], value: Any) -> None:
        nonlocal table
        is_it = pc.and_(is_now, pc.equal(ids, account["account_id"]))
        position = table.column_names.index(column)
        old = table[column]
        new = pc.if_else(is_it, pa.scalar(value, old.type), old)
        table = table.set_column(position, table.field(column), new)

    changed("arr", worth_more, worth_more["arr"] * 2)
    changed("account_region", unrouted, "EMEA")
    for account in (gone, gone_too):
        changed("status", account, "Healthy")
    pq.write_table(table, source)
    # The message arrives, and its answer does not.
    post(f"{slack}/script/emea-risk-alerts", [{"drop": "after"}])
    run = _run(service, {"source_uri": f"file://{source}", "month": MONTH})
    return {"restated": run, "alert": post(f"{service}/alerts/{unrouted['alert_id']}/settle", DECISION)}


def _cancelled(service: str, request: dict[str, Any]) -> Any:
    """Cancel a run in the midst of its deliveries, and return what was answered."""
    with ThreadPoolExecutor() as pool:
        run = pool.submit(post, f"{service}/runs", request)
        while True:
            [newest] = get(f"{service}/runs?limit=1")["runs"]
            seen = get(f"{service}/runs/{newest['run_id']}")["progress"]
            if seen is not None and seen["phase"] == "delivering" and seen["seconds_left"] is not None:
                break
            time.sleep(0.1)
        answer = post(f"{service}/runs/{newest['run_id']}/cancel", {})
        if not isinstance(run.exception(), urllib.error.HTTPError) or answer["progress"] is None:
            raise SystemExit("the run had ended before it could be cancelled")
    return answer


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
