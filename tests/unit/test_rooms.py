"""What the layers of `make lint` do not say: no cycles, purity without I/O, sizes that fit a reader."""

import ast
import re
from collections import Counter
from collections.abc import Iterator
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from typing import Final

import pytest

ROOT: Final = Path(__file__).parents[2]

_PURE: Final = """
    domain.* domain.identity.* domain.lifecycle.* runs.plan_digest
    account_risk.alerting account_risk.dask.partial_fold account_risk.folding.* account_risk.scan_plan
    account_risk.schema account_risk.severity
    default_risk.bulk default_risk.card default_risk.levels default_risk.model default_risk.ratios
    default_risk.reading.companies default_risk.reading.workbook default_risk.reasons default_risk.scoring
    default_risk.training.evaluation default_risk.training.fitting default_risk.training.train
    default_risk.values
    log_rules.counting log_rules.episode log_rules.findings log_rules.ledger log_rules.reading.matching
    log_rules.memory log_rules.reading.csv_blocks
    log_rules.reading.layout log_rules.rule log_rules.threshold log_rules.reading.times log_rules.warnings
    delivery.channels delivery.lane delivery.outage delivery.routing delivery.senders
    delivery.slack.answer delivery.slack.marker delivery.slack.message delivery.slack.outgoing
    delivery.slack.posted delivery.slack.send_result
    sources.allowed sources.csv_header sources.pattern
    sources.parquet.batch sources.parquet.columns sources.parquet.footer sources.parquet.footer_validation
    sources.parquet.hive sources.parquet.instants sources.parquet.schema sources.parquet.text
    sources.parquet.zones
"""
PURE: Final = frozenset(_PURE.split())
"""Modules that compute and never speak to the world; `x.*` are all modules of a package."""
DOORS: Final = ("api", "cli", "settings", "telemetry", "__main__")
"""What may look at the environment of the process."""

MODULES: Final = 12
LINES: Final = 320
CROWDED: Final = {"api": 15, "cli": 20, "domain": 13, "settings": 13, "store/schema/migrations/versions": 99}
"""Packages of more modules than `MODULES`, and how many they may have: one idea each, in many small files."""
LONG: Final = {"domain.errors": 340}
"""Modules of more lines than `LINES`, and how many they may have: the errors are one table."""


@cache
def modules() -> dict[str, Path]:
    """Return every module of the service by its name, without the package's own."""
    found: dict[str, Path] = {}
    for path in sorted((ROOT / "service").rglob("*.py")):
        *parents, last = path.relative_to(ROOT / "service").with_suffix("").parts
        name = ".".join(parents if last == "__init__" else [*parents, last])
        if name and (last != "__init__" or "import" in path.read_text(encoding="utf-8")):
            found[name] = path
    return found


def is_pure(module: str) -> bool:
    """Whether a module is one of the pure ones."""
    return module in PURE or f"{module.rpartition('.')[0]}.*" in PURE


def imported(tree: ast.AST, importer: str) -> Iterator[str]:
    """Yield the service's modules that a module imports, wherever in it the import stands."""
    for node in ast.walk(tree):
        names: list[str] = []
        match node:
            case ast.Import():
                names = [alias.name for alias in node.names]
            case ast.ImportFrom(level=0, module=str(module)):
                # What stands after `import` is a module (service.api.examples) or a name inside one.
                names = [f"{module}.{alias.name}" for alias in node.names]
                names = [name if name.removeprefix("service.") in modules() else module for name in names]
            case ast.ImportFrom():
                raise AssertionError(f"{importer}: relative imports are not used here")
        for name in names:
            if name.startswith("service."):
                yield name.removeprefix("service.")


@cache
def imports() -> dict[str, frozenset[str]]:
    """Return what each module imports of the service: at its top, in functions, and for type checks."""
    return {
        name: frozenset(imported(ast.parse(path.read_text(encoding="utf-8")), name)) - {name}
        for name, path in modules().items()
    }


def test_the_pure_modules_exist() -> None:
    """A pure module that moves takes its rule along."""
    assert {name for name in PURE if not name.endswith(".*")} <= set(modules())


def test_imports_name_what_there_is() -> None:
    """Every import of the service leads to a module, so that no edge below is missed by a wrong name."""
    known = set(modules())
    assert {(name, other) for name, others in imports().items() for other in others - known} == set()


def test_there_are_no_cycles() -> None:
    """Whatever a module imports can be understood, and loaded, without it."""
    try:
        order = [*TopologicalSorter(imports()).static_order()]
    except CycleError as error:
        pytest.fail(f"a cycle: {' → '.join(error.args[1])}")
    assert set(order) == set(modules())


def test_what_is_pure_does_no_io() -> None:
    """Nouns and pure functions import nothing that speaks to a network, a database, a loop or a log."""
    speaking = {
        *(
            "asyncio",
            "aiohttp",
            "aiosmtplib",
            "sqlite3",
            "anyio",
            "aiobotocore",
            "google",
            "requests",
            "sqlalchemy",
        ),
        *("socket", "ssl", "subprocess", "smtplib", "http", "fastapi", "uvicorn", "structlog", "logging"),
    }
    found = {
        (name, root)
        for name, path in modules().items()
        if is_pure(name)
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        for root in roots(node)
        if root in speaking
    }
    assert found == set()


def roots(node: ast.AST) -> list[str]:
    """Return the top packages that a statement imports."""
    match node:
        case ast.Import():
            return [alias.name.split(".")[0] for alias in node.names]
        case ast.ImportFrom(module=str(module)):
            return [module.split(".")[0]]
    return []


def test_no_private_attribute_of_a_library_is_used() -> None:
    """Nobody is exempted from the rule that ruff holds, nor gets around it with a name in a string."""
    found = {
        name
        for name, path in modules().items()
        if "SLF001" in (text := path.read_text(encoding="utf-8"))
        or re.search(r"(get|set|has)attr\([^()]*, \"_[a-z]|import _[a-z]", text)
    }
    assert found == set(), "list it in docs/decisions/0026, with the test that breaks first"


def test_only_doors_read_the_environment() -> None:
    """Settings are built in a door and handed down: nobody below makes its own, or looks into os.environ."""
    makers = [
        name
        for name, path in modules().items()
        if name.split(".")[0] not in DOORS
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if (isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "Settings")
        or (isinstance(node, ast.Attribute) and node.attr in {"environ", "getenv"})
    ]
    assert makers == []


def test_each_package_says_its_idea_in_one_line() -> None:
    """Whoever opens a folder learns in its first line what it is for."""
    for path in (ROOT / "service").rglob("__init__.py"):
        idea, *_ = (ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or "").splitlines() or [""]
        assert len(idea) > 20, path
        assert idea.endswith("."), path


def test_packages_and_modules_are_small() -> None:
    """A reader sees a package at a glance and a module on a few screens; exceptions are listed above."""
    crowds = Counter(
        path.parent.relative_to(ROOT / "service").as_posix()
        for path in (ROOT / "service").rglob("*.py")
        if path.stem != "__init__"
    )
    assert {name: count for name, count in crowds.items() if count > CROWDED.get(name, MODULES)} == {}
    lengths = {name: len(path.read_text(encoding="utf-8").splitlines()) for name, path in modules().items()}
    assert {name: count for name, count in lengths.items() if count > LONG.get(name, LINES)} == {}


@pytest.mark.parametrize("kind", ["unit", "integration"])
def test_tests_mirror_the_packages(kind: str) -> None:
    """What is tested is found by its path; besides packages there are the tests' own support and deploy/."""
    packages = {path.parent.relative_to(ROOT / "service") for path in (ROOT / "service").rglob("__init__.py")}
    folders = {
        path.parent.relative_to(ROOT / "tests" / kind) for path in (ROOT / "tests" / kind).rglob("*.py")
    }
    assert folders - packages == ({Path("support"), Path("deploy")} if kind == "unit" else set())


def test_the_mock_is_an_application_of_its_own() -> None:
    """The mock Slack shares nothing with the service, so that neither can hide the other's mistakes."""
    for here, there in (("service", "mock_slack"), ("mock_slack", "service")):
        for path in (ROOT / here).rglob("*.py"):
            tree = ast.parse(path.read_text(encoding="utf-8"))
            assert there not in {root for node in ast.walk(tree) for root in roots(node)}, path
