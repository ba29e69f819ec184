"""Training: the table is the estimator, the same bytes come again, and nobody is on both sides."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv as pc
import pyarrow.parquet as pq
import pytest

from service.default_risk.card import write_card
from service.default_risk.errors import BadCompaniesFileError
from service.default_risk.model import RiskModel
from service.default_risk.model_file import model_bytes, parse_model
from service.default_risk.ratios import ratios_of
from service.default_risk.training.evaluation import auc, folds, measured
from service.default_risk.training.fitting import fit, fit_trees, one_thread, table_of
from service.default_risk.training.labelled import Labelled, read_labelled
from service.default_risk.training.train import Description, evaluate, recalibrate, train
from service.domain.default_risk.prediction_kind import PredictionKind
from tests.support.companies import ANNUAL, labelled_table

DESCRIPTION = Description(
    name="own", horizon="one year", title="t", citation="c", licence="l", intended_use="u", limits=()
)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Labelled:
    """Give a thousand labelled companies, read from a file."""
    path = tmp_path_factory.mktemp("data") / "own.parquet"
    pq.write_table(labelled_table(1000), path)
    return read_labelled(path, PredictionKind.ANNUAL, label="bankrupt")


@pytest.fixture(scope="module")
def model(data: Labelled) -> RiskModel:
    """Give a model of them."""
    return train(data, DESCRIPTION)


def test_the_table_is_what_the_trees_say(data: Labelled) -> None:
    """Sums of the table are the estimator's own decision to 1e-12, for every combination of bins tried."""
    ratios = ratios_of(PredictionKind.ANNUAL)
    random = np.random.default_rng(0)
    bins = random.integers(0, 12, (len(data.defaulted), len(ratios))).astype(float)
    with one_thread():
        trees = fit_trees(bins, data.defaulted, ratios)
        points, base = table_of(trees, [12] * len(ratios))
        asked = random.integers(0, 12, (5000, len(ratios)))
        sums = base + sum(column[asked[:, place]] for place, column in enumerate(points))
        assert np.abs(sums - trees.decision_function(asked.astype(float))).max() <= 1e-12


def test_a_fit_is_monotone_and_its_average_company_has_no_points(data: Labelled) -> None:
    """Finance is never contradicted; points are against the average; what is missing has none."""
    fitted = fit(data, np.arange(len(data.defaulted)))
    for table, column in zip(fitted.ratios, data.values, strict=True):
        steps = np.diff(table.points)
        assert (steps > 0).all() if table.ratio.riskier == "higher" else (steps < 0).all()
        filled = np.where(np.isnan(column), np.nanmedian(column), column)
        assert table.of(filled).mean() == pytest.approx(0, abs=1e-12)
        assert table.of(np.array([np.nan])).tolist() == [0.0]


def test_training_gives_the_same_bytes_and_finds_what_is_there(data: Labelled, model: RiskModel) -> None:
    """The same file gives the same model, which orders unseen companies as their truth does."""
    content = model_bytes(model)
    assert content == model_bytes(train(data, DESCRIPTION))
    assert parse_model(content, "own.json").trained_on.rows == 1000
    assert model.held_out["auc"] > 0.7
    assert model.held_out["brier"] < model.held_out["brier_of_the_base_rate"]
    assert model.held_out["ece"] < 0.03


def test_calibration_fits_another_portfolio_and_keeps_the_order(model: RiskModel, tmp_path: Path) -> None:
    """Where half as many default, said becomes what came; AUC stays, since no points move."""
    table = labelled_table(4000, seed=1)
    keep = np.array(table["bankrupt"]) <= (np.arange(4000) % 2)
    pq.write_table(table.filter(pa.array(keep)), tmp_path / "other.parquet")
    other = read_labelled(tmp_path / "other.parquet", PredictionKind.ANNUAL, label="bankrupt")
    moved = recalibrate(model, other)
    before, after = evaluate(model, other), evaluate(moved, other)
    assert float(str(after["ece"])) < float(str(before["ece"]))
    assert after["auc"] == before["auc"]
    assert moved.prior == pytest.approx(float(other.defaulted.mean()))


@pytest.mark.parametrize("dated", [False, True])
def test_a_company_is_never_on_both_sides_of_a_split(*, dated: bool) -> None:
    """Nor is anything tested that is not later than all that was trained on, where rows are dated."""
    table = labelled_table(1000)
    companies = np.array([f"C{number % 90}" for number in range(1000)])
    times = np.array([str(2000 + number % 10) for number in range(1000)])
    data = Labelled(
        kind=PredictionKind.ANNUAL,
        values=tuple(np.array(table[name]) for name in ANNUAL),
        defaulted=np.array(table["bankrupt"]),
        companies=companies,
        times=times if dated else None,
        sha256="",
    )
    tested: list[int] = []
    for train_rows, test_rows in folds(data, 10):
        assert not {*companies[train_rows]} & {*companies[test_rows]}
        assert not dated or max(times[train_rows]) < min(times[test_rows])
        tested += test_rows.tolist()
    assert len(tested) == len(set(tested))
    assert sorted(tested) == np.flatnonzero(times >= "2006" if dated else times > "").tolist()


def dated(times: list[str]) -> Labelled:
    """Return a thousand companies with these times, over and over."""
    table = labelled_table(1000)
    return Labelled(
        kind=PredictionKind.ANNUAL,
        values=tuple(np.array(table[name]) for name in ANNUAL),
        defaulted=np.array(table["bankrupt"]),
        companies=None,
        times=np.array([times[row % len(times)] for row in range(1000)]),
        sha256="",
    )


def test_most_rows_in_the_first_year_still_leave_something_to_train_on() -> None:
    """The split moves to the second year, however the rows are spread."""
    for train_rows, test_rows in folds(dated(["2020"] * 4 + ["2021"]), 10):
        assert len(train_rows) > 0
        assert len(test_rows) > 0


def test_a_split_without_a_default_to_learn_from_is_refused() -> None:
    """It says so, instead of failing inside of a library."""
    data = dated(["2020", "2021"])
    defaulted = np.where(data.times == "2020", 0, data.defaulted).astype(np.int8)
    with pytest.raises(BadCompaniesFileError, match="all or none defaulted"):
        train(replace(data, defaulted=defaulted), DESCRIPTION)


def test_metrics_are_those_of_the_textbook() -> None:
    """AUC by counting pairs, Brier as the mean squared error, ECE over the ten bins."""
    random = np.random.default_rng(3)
    said = random.integers(0, 20, 300) / 20
    came = (random.random(300) < said).astype(np.int8)
    pairs = [
        1.0 if high > low else 0.5 if high == low else 0.0
        for high in said[came == 1]
        for low in said[came == 0]
    ]
    found = measured(said, came)
    assert auc(said, came) == pytest.approx(sum(pairs) / len(pairs), abs=1e-12)
    assert found["brier"] == pytest.approx(float(np.mean((said - came) ** 2)), abs=1e-6)
    gap = sum(each["rows"] * abs(each["said"] - each["came"]) for each in found["bins"]) / 300
    assert found["ece"] == pytest.approx(gap, abs=1e-6)
    assert sum(each["rows"] for each in found["bins"]) == 300


def test_the_card_shows_points_and_calibration(model: RiskModel, tmp_path: Path) -> None:
    """Markdown and two drawings, the same for the same model."""
    paths = write_card(model, tmp_path)
    assert [path.name for path in paths] == ["own.md", "own-reliability.svg", "own-points.svg"]
    text, reliability, points = (path.read_text(encoding="utf-8") for path in paths)
    assert f"{model.held_out['auc']:.4f}" in text
    assert reliability.count("<circle") == 10
    assert points.count("<rect") == 1 + sum(len(table.points) for table in model.ratios)


def without(name: str) -> Any:
    """Return the labelled table without a column."""
    return labelled_table(200).drop_columns([name])


@pytest.mark.parametrize(
    ("table", "problem"),
    [
        (without("return_on_assets"), "missing, or there more than once: return_on_assets"),
        (without("bankrupt"), "bankrupt"),
        (labelled_table(200).set_column(5, "bankrupt", pa.array([2] * 200)), "must be 1 for a default and 0"),
        (labelled_table(200).set_column(5, "bankrupt", pa.array([0] * 200)), "0 of 200 companies defaulted"),
        (
            labelled_table(200).set_column(0, ANNUAL[0], pa.array(["1,5"] * 200)),
            "of row 1: '1,5' has a decimal",
        ),
    ],
)
@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_training_data_that_cannot_be_used_is_named(
    tmp_path: Path, table: Any, problem: str, suffix: str
) -> None:
    """Missing columns, labels that are none, too few defaults, values that are no numbers."""
    path = tmp_path / f"data{suffix}"
    if suffix == ".csv":
        pc.write_csv(table, path)
    else:
        pq.write_table(table, path)
    with pytest.raises(BadCompaniesFileError, match="data") as error:
        read_labelled(path, PredictionKind.ANNUAL, label="bankrupt")
    assert problem in error.value.detail
