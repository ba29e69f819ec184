"""The examples that OpenAPI shows; a test holds each against its schema."""

import json
from typing import Any, Final

RUN_ID: Final = "20260201T060000Z-7d3f9a"
PLAN_DIGEST: Final = "c0d2f1a4be937586f7d1c6a2b8e409535b1e7a6d8c4f20139ad5e8b7640c3f12"
ACCOUNT: Final[dict[str, Any]] = {
    "alert_id": "5f0c6b8e7a3d4c1f9b2e6d8a7c5b4e31",
    "account_id": "a00636",
    "account_name": "Account 0636",
    "account_region": "AMER",
    "channel": "amer-risk-alerts",
    "month": "2026-01-01",
    "duration_months": 3,
    "duration_is_minimum": False,
    "risk_start_month": "2025-11-01",
    "arr": 10211,
    "renewal_date": "2026-05-14",
    "account_owner": "owner7@example.com",
}
RUN_IN: Final[dict[str, Any]] = {
    "source_uri": "file:///data/monthly_account_status.parquet",
    "month": "2026-01-01",
    "dry_run": False,
    "plan_digest": PLAN_DIGEST,
}
RUN_STARTED: Final[dict[str, Any]] = {"run_id": RUN_ID}
HEALTHY: Final[dict[str, Any]] = {"status": "healthy", "ok": True, "database": "ok"}
UNHEALTHY: Final[dict[str, Any]] = {
    "status": "unhealthy",
    "ok": False,
    "database": "unusable",
    "error": "unhealthy",
    "detail": "the database cannot be written: it is read-only",
    "run_id": None,
}
SENT_ALERT: Final[dict[str, Any]] = ACCOUNT | {
    "outcome": "sent",
    "reason": None,
    "error_message": None,
    "http_status": 200,
    "attempts": 1,
    "restated": None,
}
RESTATED_ALERT: Final[dict[str, Any]] = SENT_ALERT | {
    "outcome": "skipped_replay",
    "http_status": None,
    "attempts": 0,
    "restated": {"arr": [9890, 10211], "duration_months": None},
}
WITHDRAWN: Final[dict[str, Any]] = ACCOUNT | {"status": "failed"}
SETTLE_IN: Final[dict[str, Any]] = {"as": "sent", "note": "It is in #amer-risk-alerts, 09:14.", "by": "ann"}
ALERT: Final[dict[str, Any]] = ACCOUNT | {
    "run_id": RUN_ID,
    "status": "sent",
    "reason": None,
    "error_message": None,
    "http_status": None,
    "claimed_at": "2026-02-01T06:00:01.870000Z",
    "sent_at": "2026-02-01T06:00:01.870000Z",
    "updated_at": "2026-02-01T08:20:00Z",
    "settled": [SETTLE_IN | {"at": "2026-02-01T08:20:00Z", "run_id": RUN_ID}],
}
FAILED_ALERT: Final[dict[str, Any]] = ACCOUNT | {
    "alert_id": "0b9d1c2e3f4a5b6c7d8e9fa0b1c2d3e4",
    "account_id": "a00412",
    "account_name": "Account 0412",
    "account_region": None,
    "channel": None,
    "outcome": "failed",
    "reason": "unknown_region",
    "error_message": "no channel is configured for this region",
    "http_status": None,
    "attempts": 0,
    "restated": None,
}
COUNTS: Final[dict[str, Any]] = {
    "rows_scanned": 10587,
    "duplicates": 308,
    "alerts": 42,
    "alerts_sent": 41,
    "would_send": 0,
    "skipped_replay": 0,
    "failed_deliveries": 1,
    "unknown_region": 1,
    "unknown": 0,
    "unsent": 0,
    "withdrawn": 0,
    "restated": 0,
}
LEDGER: Final[dict[str, Any]] = {
    "rows_in_source": 10587,
    "outside_window": 0,
    "rows_scanned": 10587,
    "invalid": {},
    "duplicates": 308,
    "account_months": 10279,
    "at_risk": 97,
    "below_threshold": 52,
    "unknown_arr": 3,
    "alerts": 42,
    "outcomes": {"sent": 41, "failed": 1},
}
WARNING: Final[dict[str, Any]] = {
    "code": "unknown_region",
    "count": 1,
    "detail": "1 account has a region without a channel; support was told",
}
RUN: Final[dict[str, Any]] = {
    "run_id": RUN_ID,
    "source_uri": RUN_IN["source_uri"],
    "month": "2026-01-01",
    "dry_run": False,
    "status": "succeeded",
    "started_at": "2026-02-01T06:00:00.120000Z",
    "finished_at": "2026-02-01T06:00:42.870000Z",
    "error": None,
    "counts": COUNTS,
    "ledger": LEDGER,
    "warnings": [WARNING],
    "invalid_samples": [],
    "sample_alerts": [SENT_ALERT],
    "sample_errors": [FAILED_ALERT],
    "sample_withdrawn": [],
    "sample_restated": [],
    "plan": {
        "files": 1,
        "rows": 10587,
        "row_groups": {
            "with_target_month": 1,
            "earlier_months": 0,
            "skipped": {},
            "without_usable_statistics": 0,
        },
        "rows_read": 10587,
        "rows_skipped": 0,
        "months": 13,
        "columns": {
            "every_row": ["account_id", "month", "status", "updated_at"],
            "alerting_accounts": ["account_name", "account_region", "renewal_date", "account_owner", "arr"],
        },
        "compressed_bytes": {"every_row": 47824, "alerting_accounts_at_most": 49300, "skipped": 0},
        "memory_bytes": {
            "process": 167772160,
            "reading": 62203744,
            "each_account": 202,
            "each_account_at_risk": 2000,
        },
    },
    "plan_digest": PLAN_DIGEST,
    "progress": None,
}
PROGRESS: Final[dict[str, Any]] = {
    "phase": "delivering",
    "row_groups_done": 13,
    "row_groups_total": 13,
    "rows_done": 10587,
    "rows_total": 10587,
    "alerts_queued": 42,
    "alerts_settled": 17,
    "sent_by_channel": {"amer-risk-alerts": 12, "emea-risk-alerts": 5},
    "seconds_left": 9.5,
}
RUN_BEING_CANCELLED: Final[dict[str, Any]] = {
    **RUN,
    "status": "running",
    "finished_at": None,
    "sample_errors": [],
    "progress": PROGRESS,
}
EVENTS: Final = f"event: progress\ndata: {json.dumps(PROGRESS)}\n\nevent: run\ndata: {json.dumps(RUN)}\n\n"
RUNS: Final[dict[str, Any]] = {"runs": [RUN], "next_cursor": None}
ALERTS: Final[dict[str, Any]] = {"alerts": [SENT_ALERT, FAILED_ALERT], "next_cursor": None}
REPLAYED: Final[dict[str, Any]] = {"alerts": [RESTATED_ALERT], "next_cursor": None}
WITHDRAWALS: Final[dict[str, Any]] = {"withdrawn": [WITHDRAWN], "next_cursor": None}
PREVIEW: Final[dict[str, Any]] = {
    "source_uri": RUN_IN["source_uri"],
    "month": "2026-01-01",
    "plan_digest": PLAN_DIGEST,
    "total": 42,
    "alerts": [
        ACCOUNT
        | {
            "details_url": "https://app.yourcompany.com/accounts/a00636",
            "action": "send",
            "reason": None,
            "message": {
                "text": "🚩 At Risk: Account 0636 (a00636)\nRegion: AMER\nARR: $10,211",
                "blocks": [
                    {
                        "type": "section",
                        "text": {"type": "mrkdwn", "text": "🚩 At Risk: Account 0636 (a00636)"},
                    }
                ],
            },
            "restated": None,
        }
    ],
    "withdrawn": [],
    "counts": COUNTS | {"alerts_sent": 0, "would_send": 41},
    "ledger": LEDGER | {"outcomes": {"would_send": 41, "failed": 1}},
    "warnings": [WARNING],
    "invalid_samples": [],
    "seconds_by_channel": {"amer-risk-alerts": 20.0, "emea-risk-alerts": 12.0, "apac-risk-alerts": 9.0},
}
