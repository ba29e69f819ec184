"""The kinds of runs that a process knows, made of its settings."""

import os
from collections.abc import Mapping
from functools import partial
from types import MappingProxyType
from typing import TYPE_CHECKING

from service.account_risk.account_at_risk import Criteria
from service.account_risk.kind import AccountRisk, Question
from service.account_risk.options import EvaluationOptions
from service.account_risk.risk_alert import RiskAlert
from service.domain.month import Month
from service.domain.source_uri import SourceUri
from service.log_rules.alerts.kind import LogRules
from service.log_rules.alerts.options import LogRunOptions
from service.runs.kind import RunKind
from service.runtime.clock import Clock
from service.settings import Settings
from service.sources.opening import open_source
from service.sources.source import StorageAccess

if TYPE_CHECKING:
    from service.store.store import Store


def kinds_of(settings: Settings, store: "Store", clock: Clock) -> Mapping[str, RunKind]:
    """Return the kinds of runs that this process knows, by name."""
    account_risk = AccountRisk(
        alert_type=RiskAlert(
            details_base_url=settings.details_base_url, severity_rules=settings.severities()
        ),
        question=partial(configured, settings),
    )
    log_rules = LogRules(
        options=LogRunOptions(
            tenant_id=settings.tenant_id,
            threads=settings.scan_threads or os.cpu_count() or 1,
            memory_limit_mb=settings.memory_limit_mb,
            most_of_a_rule=settings.max_alerts_per_rule,
            checkpoint_limit_mb=settings.checkpoint_limit_mb,
            open_source=lambda source: open_source(source, storage_access(settings)),
        ),
        rules_folder=settings.rules_folder,
        checkpoints=store.checkpoints,
        clock=clock,
    )
    return MappingProxyType({kind.name: kind for kind in (account_risk, log_rules)})


def storage_access(settings: Settings) -> StorageAccess:
    """Return how, and how far, this process may reach into storage."""
    token = settings.gcs_token
    return StorageAccess(
        gcs_token=token.get_secret_value() if token else None,
        gcs_endpoint_url=settings.gcs_endpoint_url,
        s3_endpoint_url=settings.s3_endpoint_url,
        s3_anon=settings.s3_anon,
        timeout_s=settings.storage_timeout_s,
        max_files=settings.source_max_files,
        allowed_sources=settings.allowed_sources,
    )


def configured(settings: Settings, source: SourceUri, month: Month) -> Question:
    """Put the settings to use on one source and month."""
    reopen = partial(open_source, source, storage_access(settings))
    return Question(
        criteria=Criteria(
            month=month,
            arr_threshold=settings.arr_threshold,
            alert_on_unknown_arr=settings.alert_on_unknown_arr,
            history_months=settings.history_months,
            tenant_id=settings.tenant_id,
        ),
        options=EvaluationOptions(
            threads=settings.scan_threads or os.cpu_count() or 1,
            memory_limit_mb=settings.memory_limit_mb,
            cluster=settings.evaluate_on,
            cluster_timeout_s=settings.storage_timeout_s,
            reopen=reopen,
        ),
        reopen=reopen,
    )
