"""The evaluation, held against the brute-force oracle: whatever the rows, and however they lie in files."""

import asyncio
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from service.account_risk.evaluate import MonthEvaluation, evaluate
from service.account_risk.options import EvaluationOptions
from service.domain.errors import MonthNotInSourceError
from service.domain.evaluation import Condition
from service.domain.progress import Progress
from service.domain.source_uri import SourceUri
from service.sources.opening import open_source
from service.sources.source import StorageAccess
from tests.support import oracle
from tests.support.histories import History, Layout, histories, layouts, write

SLOW_DISKS = settings(suppress_health_check=list(HealthCheck))


def evaluated(
    history: History, layout: Layout, threads: int = 2, watched: Sequence[str] = ()
) -> MonthEvaluation:
    """Write the rows as `layout` says, and evaluate the folder they are in."""
    with TemporaryDirectory() as folder:
        write(history, layout, Path(folder))
        with open_source(SourceUri.parse(f"file://{folder}"), StorageAccess()) as source:
            return asyncio.run(
                evaluate(
                    source,
                    history.criteria,
                    options=EvaluationOptions(threads=threads),
                    progress=Progress(),
                    watched=watched,
                )
            )


@SLOW_DISKS
@given(data=st.data(), history=histories(), threads=st.integers(1, 3))
def test_agrees_with_the_oracle(data: st.DataObject, history: History, threads: int) -> None:
    """Alerts and ledger are the oracle's, in any order, split, type, encoding and compression.

    So is what has become of the accounts that are watched, which changes nothing else.
    """
    layout = data.draw(layouts(history))
    known = sorted({row["account_id"] for row in history.rows if row["account_id"]})
    watched = data.draw(st.lists(st.sampled_from([*known, "nobody"]), unique=True))
    try:
        expected = oracle.evaluate(history.rows, history.criteria)
    except oracle.MonthNotInSourceError as missing:
        with pytest.raises(MonthNotInSourceError) as raised:
            evaluated(history, layout, threads)
        for month in (missing.first, missing.last):
            assert month is None or str(month) in raised.value.detail
        return
    answer = evaluated(history, layout, threads, watched)
    assert answer.alerts == expected.alerts
    assert answer.rows == expected.rows
    conditions = {name: expected.conditions.get(name, Condition.NOT_SEEN) for name in watched}
    alerting = {name for name, condition in conditions.items() if condition is Condition.ALERTING}
    assert answer.conditions == {name: conditions[name] for name in watched if name not in alerting}


@SLOW_DISKS
@given(data=st.data(), history=histories())
def test_layouts_never_disagree(data: st.DataObject, history: History) -> None:
    """Two layouts of the same rows give the same answer, warnings included, whatever that answer is."""
    answers = []
    for layout in data.draw(st.tuples(layouts(history), layouts(history))):
        try:
            answer = evaluated(history, layout)
        except MonthNotInSourceError as error:
            answers.append(error.detail)
        else:
            samples = [(one.reason, one.account_id, one.month) for one in answer.invalid_samples]
            answers.append(repr((answer.alerts, answer.rows, answer.warnings, samples)))
    assert answers[0] == answers[1]
