"""The cluster: Dask workers give the answer that this process gives, whatever happens to one of them."""

import os
import re
import signal
import threading
from collections.abc import Iterator, Sequence
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from pydantic import SecretStr

from service.account_risk.account_at_risk import Criteria
from service.account_risk.evaluate import MonthEvaluation
from service.account_risk.kind import month_request
from service.account_risk.options import EvaluationOptions
from service.account_risk.risk_alert import RiskAlert
from service.cluster.connection import connected
from service.delivery.channels import Channels
from service.domain.errors import ClusterUnreachableError, MonthNotInSourceError, SchemaMismatchError
from service.domain.progress import Progress
from service.domain.source_uri import SourceUri
from service.runs.plan_digest import plan_digest
from service.runs.preview import preview
from service.settings import Settings
from service.sources.opening import open_source
from service.sources.source import StorageAccess
from service.wiring import open_app
from tests.support import evaluating
from tests.support.clusters import local_cluster, started
from tests.support.evaluating import JANUARY, evaluated, row
from tests.support.histories import History, histories, layouts, write
from tests.support.waiting import PATIENCE_S, wait_until

# Found, and not loaded, by every process that collects this.
pytestmark = [
    pytest.mark.skipif(find_spec("distributed") is None, reason="Dask is an extra"),
    pytest.mark.filterwarnings("ignore"),
]


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    """Start a real cluster."""
    with local_cluster() as running:
        yield running


def on(
    address: str, path: Path, criteria: Criteria = JANUARY, watched: Sequence[str] = ()
) -> MonthEvaluation:
    """Evaluate on the cluster."""
    reopen = partial(open_source, SourceUri.parse(f"file://{path}"), StorageAccess())
    options = EvaluationOptions(cluster=address, reopen=reopen)
    return evaluated(path, criteria, options=options, watched=watched)


CHANNELS = Channels(by_region={"AMER": "amer", "EMEA": "emea"})


def answer(evaluation: MonthEvaluation) -> tuple[Any, ...]:
    """Return what must not depend on where it was found."""
    return (
        evaluation.alerts,
        evaluation.rows,
        evaluation.warnings,
        plan_digest(evaluation, CHANNELS, RiskAlert(details_base_url="https://app.example.com")),
        [(one.reason, one.account_id, one.month) for one in evaluation.invalid_samples],
        evaluation.conditions,
    )


@hypothesis_settings(max_examples=15, suppress_health_check=list(HealthCheck))
@given(data=st.data(), history=histories())
def test_the_answer_is_that_of_one_process(data: st.DataObject, history: History, cluster: Any) -> None:
    """Whatever the rows and however they lie, the cluster's answer is the local one."""
    watched = ["nobody", *sorted({row["account_id"] for row in history.rows if row["account_id"]})[::2]]
    with TemporaryDirectory() as folder:
        write(history, data.draw(layouts(history)), Path(folder))
        try:
            local = answer(evaluated(Path(folder), history.criteria, watched=watched))
        except MonthNotInSourceError as error:
            with pytest.raises(MonthNotInSourceError, match=re.escape(error.detail)):
                on(cluster.scheduler_address, Path(folder), history.criteria)
        else:
            remote = on(cluster.scheduler_address, Path(folder), history.criteria, watched)
            assert answer(remote) == local


def many_rows(path: Path) -> Path:
    """Write rows of several accounts over several months, in many small row groups."""
    first = JANUARY.month
    rows = [
        row(
            f"a{n:03}",
            first.minus(back).first_day,
            status="At Risk" if n % (back + 2) else "Healthy",
        )
        for back in range(12)
        for n in range(100)
    ]
    return evaluating.write(path, rows, row_group_size=20)


def test_a_killed_worker_changes_nothing(cluster: Any, tmp_path: Path) -> None:
    """What a dead worker had done is done again by another."""
    path = many_rows(tmp_path / "a.parquet")
    local = answer(evaluated(path))
    victim = next(iter(cluster.workers.values())).pid
    progress = Progress()

    def kill() -> None:
        wait_until(lambda: progress.row_groups_done)
        os.kill(victim, signal.SIGKILL)

    killer = threading.Thread(target=kill)
    killer.start()
    reopen = partial(open_source, SourceUri.parse(f"file://{path}"), StorageAccess())
    options = EvaluationOptions(cluster=cluster.scheduler_address, reopen=reopen)
    remote = evaluated(path, options=options, progress=progress)
    killer.join()
    assert answer(remote) == local
    assert (remote.rows.alerts, progress.row_groups_done) == (len(local[0]), progress.row_groups_total)


async def test_evaluate_on_moves_a_preview_to_the_cluster(cluster: Any, tmp_path: Path) -> None:
    """With EVALUATE_ON set the flows above evaluate say the same, and do not know where it ran."""
    source = f"file://{many_rows(tmp_path / 'many.parquet')}"
    asked = month_request(SourceUri.parse(source), JANUARY.month)
    previewed = []
    for evaluate_on in (None, cluster.scheduler_address):
        settings = Settings(
            _env_file=None,
            database_url=SecretStr(f"sqlite:///{tmp_path}/risk_alerts.db"),
            evaluate_on=evaluate_on,
            arr_threshold=0,
        )
        async with open_app(settings) as app:
            previewed.append(await preview(app, asked, limit=1000, progress=Progress()))
    assert previewed[0] == previewed[1]
    assert previewed[0].total


def test_errors_come_back_as_they_are(cluster: Any, tmp_path: Path) -> None:
    """A column that contradicts its folder is refused there as here."""
    rows = [row(month=JANUARY.month.minus(1).first_day)]
    evaluating.write(tmp_path / "month=2026-01-01" / "a.parquet", rows, write_statistics=False)
    with pytest.raises(SchemaMismatchError, match="its folder says month=2026-01-01"):
        on(cluster.scheduler_address, tmp_path)


def evaluated_within(seconds: float, address: str, path: Path, progress: Progress | None = None) -> None:
    """Evaluate on a cluster that may not be silent for longer than that."""
    reopen = partial(open_source, SourceUri.parse(f"file://{path}"), StorageAccess())
    options = EvaluationOptions(cluster=address, cluster_timeout_s=seconds, reopen=reopen)
    evaluated(path, options=options, progress=progress)


def test_a_cluster_that_is_not_there(tmp_path: Path) -> None:
    """A wrong address is a sentence, not a stack trace."""
    path = evaluating.write(tmp_path / "a.parquet", [row()])
    with pytest.raises(ClusterUnreachableError, match="no Dask scheduler answers at tcp://127"):
        evaluated_within(0.2, "tcp://127.0.0.1:1", path)


def test_a_cluster_without_workers(tmp_path: Path) -> None:
    """Nobody waits without end for workers that never come."""
    path = evaluating.write(tmp_path / "a.parquet", [row()])
    with (
        started(tmp_path, workers=0) as (address, _),
        pytest.raises(ClusterUnreachableError, match=r"at tcp://\S+ has no workers"),
    ):
        evaluated_within(1, address, path)


def test_tasks_that_a_lost_scheduler_cancelled_before_they_were_asked_for(cluster: Any) -> None:
    """Their results are missed as those of tasks that are waited for when it is lost."""
    address = cluster.scheduler_address

    def ask_late() -> None:
        with connected(address, timeout_s=PATIENCE_S, stop=threading.Event()) as connection:
            task = connection.submit(int)
            task.cancel()
            connection.gather([task])

    with pytest.raises(ClusterUnreachableError, match=f"no Dask scheduler answers at {address}"):
        ask_late()


@pytest.mark.timeout(120)
@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGSTOP], ids=["dies", "freezes"])
def test_a_scheduler_that_is_lost_in_mid_run(tmp_path: Path, how: signal.Signals) -> None:
    """Whether its connections close or it merely says nothing more, the run ends with a listed error."""
    path, progress = many_rows(tmp_path / "a.parquet"), Progress()
    with started(tmp_path, workers=1) as (address, scheduler):

        def lose() -> None:
            wait_until(lambda: progress.row_groups_done)
            scheduler.send_signal(how)

        loser = threading.Thread(target=lose)
        loser.start()
        with pytest.raises(ClusterUnreachableError, match="no Dask scheduler answers at tcp://127"):
            evaluated_within(5, address, path, progress)
        loser.join()
