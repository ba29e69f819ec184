"""`sample-data --kind companies`: invented companies with annual ratios, to try scoring with."""

import csv
import sys
from pathlib import Path
from random import Random
from typing import Final

from service.cli.command import report
from service.cli.exit_codes import OK, RUN_FAILED
from service.default_risk.reading.companies import columns_of
from service.domain.default_risk.prediction_kind import PredictionKind
from service.telemetry.terminal import harmless

_FIRST: Final = ("Amber", "Birch", "Cedar", "Delta", "Ember", "Fjord", "Granite", "Harbor", "Iris", "Juniper")
_SECOND: Final = ("Analytics", "Foods", "Freight", "Health", "Media", "Mining", "Optics", "Retail", "Systems")
_SECTORS: Final = ("Industry", "Retail", "Energy", "Health", "Services")


def write_sample_companies(path: Path, *, companies: int, seed: int, with_fate: bool) -> int:
    """Write a CSV file, the same for the same arguments, and return the exit code.

    One in twelve is in distress; some ratios are not meaningful (NM) or missing, and one row comes twice.
    With their fate they have a column `defaulted`, statements of five years, and no row twice.
    """
    random = Random(seed)  # noqa: S311  # no secret depends on it
    (*required,), (*optional,) = columns_of(PredictionKind.ANNUAL)
    rows = [_company(random, number, with_fate=with_fate) for number in range(1, companies + 1)]
    if not with_fate:
        rows.append(rows[0])
    try:
        with path.open("w", newline="", encoding="utf-8") as file:
            lines = csv.DictWriter(file, [*required, *optional, *(["defaulted"] if with_fate else [])])
            lines.writeheader()
            lines.writerows(rows)
    except OSError as problem:
        report(f"{path} cannot be written: {problem.strerror or problem}")
        return RUN_FAILED
    sys.stdout.write(f"{harmless(str(path))}: {len(rows):,} rows, {companies:,} companies\n")
    return OK


def _company(random: Random, number: int, *, with_fate: bool) -> dict[str, object]:
    distress = random.random() < 1 / 12
    margin = random.gauss(-18, 14) if distress else random.gauss(5, 6)
    debt = abs(random.gauss(7, 5)) if distress else abs(random.gauss(2.5, 2))
    ebitda = -1 if distress and random.random() < 0.6 else 1  # noqa: PLR2004  # six in ten
    company: dict[str, object] = {
        "company_symbol": f"C{number:05}",
        "company_name": f"{random.choice(_FIRST)} {random.choice(_SECOND)} {number}",
        "sector": random.choice(_SECTORS),
        "market_cap": round(random.lognormvariate(5, 1.5), 1),
        "reporting_year": 2025,
        "long_term_debt_to_total_capital": round(min(95, abs(random.gauss(25, 20))), 1),
        "total_debt_to_ebitda": round(debt * ebitda, 2),
        "net_income_margin": round(margin, 1),
        "ebit_to_interest_expense": round(margin * random.uniform(0.3, 2), 1),
        "return_on_assets": round(margin * random.uniform(0.5, 1.5), 1),
    }
    for name in ("total_debt_to_ebitda", "ebit_to_interest_expense"):
        if random.random() < 0.03:  # noqa: PLR2004  # three in a hundred
            company[name] = random.choice(("NM", ""))
    if with_fate:
        company["reporting_year"] = random.randint(2021, 2025)
        # Half of those in distress, and one in fifty of the others.
        company["defaulted"] = int(random.random() < (0.5 if distress else 0.02))
    return company
