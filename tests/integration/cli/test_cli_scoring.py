"""Default risk on the command line: a sample is scored, a model trained and used; nothing is stored."""

import json
from pathlib import Path

import pyarrow.parquet as pq

from tests.support.companies import labelled_table
from tests.support.processes import command


def test_a_sample_is_scored_and_every_row_accounted_for(tmp_path: Path) -> None:
    """The summary adds up; the results have each row with its reasons; no database appears."""
    made = command(tmp_path, "sample-data", "--kind", "companies", "c.csv", "--companies", "150")
    assert made.returncode == 0, made.stderr
    done = command(tmp_path, "score", "c.csv", "--out", "scores.csv", "--json")
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout)
    rows = answer["rows"]
    assert rows["total"] == 151 == sum(rows[name] for name in ("scored", "abstained", "duplicate", "invalid"))
    assert sum(answer["levels"].values()) == rows["scored"]
    assert answer["riskiest"][0]["reasons"]
    assert len((tmp_path / "scores.csv").read_text().splitlines()) == 152
    shown = command(tmp_path, "score", "c.csv", "--out", "scores.parquet", PRIOR="0.01")
    assert "calibrated for 1.0 % defaults" in shown.stdout
    assert pq.read_table(tmp_path / "scores.parquet").num_rows == 151
    assert sorted(path.name for path in tmp_path.iterdir()) == ["c.csv", "scores.csv", "scores.parquet"]


def test_a_model_of_ones_own_is_trained_and_used(tmp_path: Path) -> None:
    """Train, evaluate, calibrate, show and score with it; what is for other statements is refused."""
    pq.write_table(labelled_table(1500), tmp_path / "own.parquet")
    trained = command(
        tmp_path, *("model", "train", "own.parquet", "--kind", "annual", "--name", "own", "--out", "own.json")
    )
    assert trained.returncode == 0, trained.stderr
    assert "On companies that it had not seen" in trained.stdout
    found = command(tmp_path, "model", "evaluate", "own.json", "own.parquet", "--json")
    metrics = json.loads(found.stdout)
    assert metrics["rows"] + metrics["abstained"] == 1500
    fitted = command(tmp_path, "model", "calibrate", "own.json", "own.parquet", "--out", "2.json")
    # It has seen them all: the points are of the same file.
    assert (fitted.returncode, "had not seen" in fitted.stdout) == (0, False), fitted.stderr
    assert "On these companies, a tenth at a time fitted to the others" in fitted.stdout
    assert "total debt to EBITDA" in command(tmp_path, "model", "show", "2.json").stdout
    card = command(tmp_path, "model", "show", "annual", "--card", "cards")
    assert card.stdout.split() == [
        f"cards/polish-annual{end}" for end in (".md", "-reliability.svg", "-points.svg")
    ]
    command(tmp_path, "sample-data", "--kind", "companies", "c.csv", "--companies", "50")
    assert command(tmp_path, "score", "c.csv", "--model", "own.json").returncode == 0
    wrong = command(tmp_path, "score", "c.csv", "--model", "own.json", "--kind", "quarterly")
    assert (wrong.returncode, "own.json is for annual statements" in wrong.stderr) == (64, True)


def test_what_cannot_be_scored_or_written_says_why(tmp_path: Path) -> None:
    """Each ends in one line and its exit code; no half a file is left."""
    (tmp_path / "c.csv").write_text("company_symbol\nA\n")
    done = command(tmp_path, "score", "c.csv", "--out", "o.csv")
    assert (done.returncode, done.stderr.count("\n")) == (64, 1)
    assert "bad_companies_file: c.csv: columns missing: reporting_year" in done.stderr
    assert command(tmp_path, "score", "none.csv").returncode == 3
    assert "written as .csv or .parquet" in command(tmp_path, "score", "c.csv", "--out", "o.xls").stderr
    assert command(tmp_path, "score", "c.csv", RISK_THRESHOLDS="0.5,0.2").returncode == 64
    assert sorted(path.name for path in tmp_path.iterdir()) == ["c.csv"]


def test_results_never_replace_the_companies(tmp_path: Path) -> None:
    """Whatever the file is called by: nothing is written over what is read."""
    command(tmp_path, "sample-data", "--kind", "companies", "c.csv", "--companies", "20")
    before = (tmp_path / "c.csv").read_bytes()
    (tmp_path / "link.csv").symlink_to("c.csv")
    train = ("model", "train", "c.csv", "--kind", "annual", "--name", "own")
    calibrate = ("model", "calibrate", "none.json", "c.csv")
    for asked in (("score", "c.csv"), ("score", "link.csv"), ("score", "*c.csv"), train, calibrate):
        done = command(tmp_path, *asked, "--out", "c.csv")
        assert (done.returncode, "c.csv is the file that is read" in done.stderr) == (64, True), done.stderr
        assert (tmp_path / "c.csv").read_bytes() == before
    nowhere = command(tmp_path, *train, "--out", "nowhere/own.json")
    assert "own.json cannot be written: there is no folder nowhere" in nowhere.stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == ["c.csv", "link.csv"]
