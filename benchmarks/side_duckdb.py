"""DuckDB's side, in the best formulations that were found; the benchmark keeps the fastest on each file.

All of them are exact on any file of the schema: deduplicated by latest `updated_at` before status and ARR are
looked at, a null instant losing, At Risk winning a tie.

- `distinct`: candidates first, then the history of the candidates alone (a semi-join), and the duplicates as
  rows less distinct accounts and months. What most people would write who know DuckDB well.
- `seen mask`: the same, but the duplicates from one bit a month: one group an account, not one an account
  month.
- `masks`: one scan folds every account into three numbers (rows, months told At Risk, months told otherwise).
  A month that was told only one way needs no deduplication, so `updated_at` is read only for the few months
  that were told both ways inside a streak, and attributes only for accounts that may alert.

Tried and slower everywhere: `count(DISTINCT (account_id, month))`, `GROUP BY account_id, month`, distinct
accounts month by month, ids mapped to integers by a join, `arg_max` of the status instead of a packed key;
and one join for both later reads of `masks`, which needs 3.7 GB.
"""

import re
from pathlib import Path
from typing import Any, Final

from benchmarks.side import Answer, Question, Work, alert_row, in_order, streak

FORMULATIONS: Final = ("distinct", "seen mask", "masks")
_PARTS: Final = {
    "distinct": ("candidates", "streaks", "count_distinct"),
    "seen mask": ("candidates", "streaks", "count_bits"),
    "masks": ("masks", "candidates_of_masks", "doubts", "streaks_of_masks"),
}
_FILE: Final = Path(__file__).with_name("duckdb.sql")


class _Script:
    """The parts of the SQL file, filled in for one question."""

    def __init__(self, question: Question) -> None:
        pattern = "/**/*.parquet" if question.source.is_dir() else ""
        pieces = re.split(r"^-- part: (\w+)\n", _FILE.read_text(), flags=re.MULTILINE)[1:]
        without_comments = (re.sub(r"^--.*\n", "", text, flags=re.MULTILINE) for text in pieces[1::2])
        self._values = {
            "year": str(question.month.year),
            "month": str(question.month.month),
            "first": question.first_month.isoformat(),
            "target": question.month.isoformat(),
            "threshold": str(question.threshold),
            "source": f"read_parquet('{question.source}{pattern}')",
            **dict(zip(pieces[::2], (text.strip() for text in without_comments), strict=True)),
        }

    def hold_months(self, months: int) -> None:
        """Choose a mask of 64 bits where it will do, else of 128."""
        self._values["mask"] = "BIGINT" if months < 63 else "HUGEINT"

    def part(self, name: str) -> str:
        """Return a part, and the parts that it names, filled in."""
        return re.sub(r"\{(\w+)\}", lambda match: self.part(match[1]), self._values[name])


def load(formulation: str) -> Work:
    """Import DuckDB."""
    import duckdb  # noqa: PLC0415 - importing is what is timed

    def work(question: Question):  # type: ignore[no-untyped-def]  # noqa: ANN202 - see Work
        con = duckdb.connect()
        con.execute(f"SET threads = {question.threads}; SET preserve_insertion_order = false")
        script = _Script(question)
        oldest = max(con.execute(script.part("oldest")).fetchall()[0][0], question.first_month)
        month = question.month
        script.hold_months((month.year - oldest.year) * 12 + month.month - oldest.month + 1)
        for part in _PARTS[formulation]:
            con.execute(script.part(part))
        found: list[tuple[Any, ...]] = con.execute(script.part("found")).fetchall()
        duplicates = int(con.execute("FROM told_twice").fetchall()[0][0])

        def answer() -> Answer:
            alerts = (alert_row(question, row[1:], streak(row[0])) for row in found)
            return Answer(alerts=in_order(alerts), duplicates=duplicates)

        return answer

    return work
