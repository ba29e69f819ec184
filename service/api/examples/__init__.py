"""The examples that OpenAPI shows: what the API answered about a real source, written by `make examples`.

They are read when somebody asks for the document, not when the service starts.
"""

from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import orjson

_HERE = Path(__file__).parent
_METRICS = """\
# HELP risk_alerts_in_doubt Alerts that Slack may have or not; a person settles them.
# TYPE risk_alerts_in_doubt gauge
risk_alerts_in_doubt 0.0
"""


@cache
def examples() -> dict[str, Any]:
    """Return every example by its name; raises OSError where this package was installed without them."""
    run, restated, running, alert, preview, health = (
        orjson.loads((_HERE / f"{name}.json").read_bytes())
        for name in ("run", "restated", "running", "alert", "preview", "health")
    )
    events = {"progress": running["progress"], "run": run}
    return {
        **health,
        "metrics": _METRICS,
        "run": run,
        "run_id": run["run_id"],
        "run_in": {name: run[name] for name in ("source_uri", "month", "dry_run", "plan_digest")},
        "log_run_in": {
            "kind": "log_rules",
            "rules": "mobile",
            "source_uri": "file:///srv/logs/2026-01-31.csv.gz",
            "from": "2026-01-31T00:00:00Z",
            "until": "2026-02-01T00:00:00Z",
            "stream": "mobile",
        },
        "run_started": {"run_id": run["run_id"]},
        "running": running,
        "progress": running["progress"],
        "runs": {"runs": [running, run], "next_cursor": None},
        "events": _events(events),
        "alerts": {"alerts": [run["sample_alerts"][0], run["sample_errors"][0]], "next_cursor": None},
        "alerts_csv": (_HERE / "alerts.csv").read_bytes().decode(),
        "restated": {"alerts": restated["sample_restated"], "next_cursor": None},
        "withdrawn": {"withdrawn": restated["sample_withdrawn"], "next_cursor": None},
        "changes": _changes(run, restated),
        "alert": alert,
        "alert_id": alert["alert_id"],
        "settle_in": {name: alert["settled"][0][name] for name in ("as", "note", "by")},
        # The file has all of them, which is more than anybody scrolls through.
        "preview": preview | {"alerts": preview["alerts"][:2]},
        **_work(alert),
        **_v1(),
    }


def _events(events: dict[str, Any]) -> str:
    return "".join(f"event: {name}\ndata: {orjson.dumps(data).decode()}\n\n" for name, data in events.items())


def _changes(run: dict[str, Any], restated: dict[str, Any]) -> dict[str, Any]:
    """Return what a run changed: two of the accounts that other examples show."""
    shown = ("alert_id", "account_id", "account_name", "account_region", "arr")
    of_kind = {"new": run["sample_alerts"][0], "withdrawn": restated["sample_withdrawn"][0]}
    changes = [{"change": kind} | {name: row[name] for name in shown} for kind, row in of_kind.items()]
    return {
        "run_id": run["run_id"],
        "month": run["month"],
        "totals": [
            {"region": one["account_region"], "change": one["change"], "accounts": 1, "arr": one["arr"]}
            for one in changes
        ],
        "changes": changes,
    }


def _work(alert: dict[str, Any]) -> dict[str, Any]:
    """Return the examples of the work on alerts, which are made up around the one alert."""
    made_up: dict[str, Any] = orjson.loads((_HERE / "work.json").read_bytes())
    shown = made_up["managed_alert"]
    columns = [name for name in shown if name not in {"occurrences", "delivery"}]
    cells = ("" if shown[name] is None else str(shown[name]) for name in columns)
    delivery = {name: alert[name] for name in made_up["delivery"]}
    occurrence = {
        "id": alert["alert_id"],
        "period": alert["month"],
        "route": alert["account_region"],
        "facts": {name: alert[name] for name in made_up["facts"]},
        "delivery": delivery,
    }
    shown |= {"occurrences": [occurrence], "delivery": delivery}
    return made_up | {
        "managed_alerts": [shown],
        "managed_alerts_csv": f"{','.join(columns)}\r\n{','.join(cells)}\r\n",
        "alert_event": made_up["alert_events"][-1],
    }


def _v1() -> dict[str, Any]:
    """Return the examples of /api/v1, which are made up: bodies, ids, and answers in their envelope."""
    made_up = orjson.loads((_HERE / "v1.json").read_bytes())
    data = made_up["data"]
    names = ("id", "version", "is_newest", "organization_id", "company_id", "company_name", "created_by")
    data["prediction"] = data["score"] | dict(zip(names, made_up["prediction"], strict=True))
    data["model"] = data["score"]["model"] | {"kind": "annual", "activated_at": None}
    data["models"] = {"models": [data["model"]]}
    many = {each: f"{each}s" for each in ("tenant", "organization", "user", "grant", "prediction", "job")}
    for one, several in {**many, "company": "companies"}.items():
        data[several] = {several: [data[one]], "next_cursor": None}
    wrapped = {
        f"v1_{name}": {"success": True, "data": value, "meta": made_up["meta"]}
        for name, value in data.items()
    }
    events = {"progress": made_up["job_progress"], "job": data["job"]}
    raw = {
        "v1_job_events": _events(events),
        "job_rows_csv": "".join(
            f"{','.join('' if cell is None else str(cell) for cell in line)}\r\n"
            for line in (data["job_rows"]["rows"][0], *(row.values() for row in data["job_rows"]["rows"]))
        ),
    }
    return {**wrapped, **raw, **made_up["ids"], **made_up["bodies"]}


def with_example(name: str) -> Callable[[dict[str, Any]], None]:
    """Return what adds an example to a JSON schema (pydantic's `json_schema_extra`)."""
    return lambda schema: schema.update(examples=[examples()[name]])
