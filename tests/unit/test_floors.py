"""The house has floors, and imports point down or sideways, never up and never in a circle."""

import ast
from collections.abc import Iterator
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from typing import Final

import pytest

ROOT: Final = Path(__file__).parents[2]

FLOORS: Final = {
    "nouns": """
        domain.month domain.alert domain.delivery_status domain.errors domain.progress runtime.clock
        domain.run domain.alert_record domain.evaluation delivery.send_result domain.ledger
    """,
    "pure": """
        account_risk.scan_plan account_risk.window account_risk.alerting delivery.message delivery.lane
        delivery.channels domain.replay delivery.routing account_risk.row_validation
        account_risk.account_index account_risk.attributes sources.parquet.columns runs.plan_digest
        account_risk.candidate_rows account_risk.fold sources.parquet.footer
        sources.parquet.footer_validation sources.parquet.hive sources.parquet.text sources.uri
        sources.pattern sources.allowed account_risk.partial_fold
    """,
    # Beside the stairs: whatever does I/O may lean on it, and it leans on nouns only.
    "side": """
        settings telemetry.logs telemetry.events telemetry.redaction
    """,
    "edges": """
        sources.opening sources.source sources.parquet.prefetch sources.storage_access
        sources.buckets.bucket sources.buckets.failure sources.buckets.gcs sources.local
        sources.buckets.loop sources.buckets.object_reader sources.buckets.object_source
        sources.buckets.ranges sources.buckets.s3 sources.parquet.scan delivery.slack
        delivery.support_notice store store.* runtime.daemon_thread runtime.garbage
    """,
    "flows": """
        runs.execute runs.admission runs.heartbeat account_risk.evaluate delivery.dispatch
        delivery.lane_queue delivery.reporting store.patience runs.preview runs.idempotent_request
        runs.settle_doubt runs.context account_risk.dask_engine account_risk.dask_tasks
    """,
    "wiring": """
        wiring
    """,
    "doors": """
        api api.* cli cli.* __main__ cli.sample_data
    """,
}
"""From the ground up. `x.*` are all modules of a package. A new module needs a floor: put it here."""

ORDER: Final = list(FLOORS)
FLOOR_OF: Final = {name: floor for floor, names in FLOORS.items() for name in names.split()}


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


def floor_of(module: str) -> str | None:
    """Return the floor a module lives on, or None if it has none."""
    while module not in FLOOR_OF and f"{module.rpartition('.')[0]}.*" not in FLOOR_OF:
        if "." not in module:
            return None
        module = module.rpartition(".")[0]  # a package inside a package lives where that lives
    return FLOOR_OF.get(module) or FLOOR_OF[f"{module.rpartition('.')[0]}.*"]


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


def test_every_module_has_a_floor() -> None:
    """A module that nobody has given a floor does not slip in unseen."""
    assert [name for name in modules() if floor_of(name) is None] == []


def test_no_module_has_two_floors() -> None:
    """The floors do not overlap."""
    names = [name for floor in FLOORS.values() for name in floor.split()]
    assert len(names) == len(set(names))


def test_imports_name_what_there_is() -> None:
    """Every import of the service leads to a module, so that no edge below is missed by a wrong name."""
    known = set(modules())
    assert {(name, other) for name, others in imports().items() for other in others - known} == set()


@pytest.mark.parametrize("floor", FLOORS)
def test_imports_point_down_or_sideways(floor: str) -> None:
    """No module imports from a floor above its own, nor inside a function, nor for types only."""
    upward = [
        f"{name} ({floor}) imports {other} ({floor_of(other)})"
        for name, others in imports().items()
        if floor_of(name) == floor
        for other in sorted(others)
        if ORDER.index(floor_of(other) or ORDER[-1]) > ORDER.index(floor)
    ]
    assert upward == []


def test_there_are_no_cycles() -> None:
    """Whatever a module imports can be understood, and loaded, without it."""
    try:
        order = [*TopologicalSorter(imports()).static_order()]
    except CycleError as error:
        pytest.fail(f"a cycle: {' → '.join(error.args[1])}")
    assert set(order) == set(modules())


@pytest.mark.parametrize("floor", ["nouns", "pure"])
def test_what_is_pure_does_no_io(floor: str) -> None:
    """Nouns and pure functions import nothing that speaks to a network, a database, a loop or a log."""
    speaking = {
        *("asyncio", "aiohttp", "aiosmtplib", "aiosqlite", "anyio", "fsspec", "gcsfs", "s3fs", "sqlalchemy"),
        *("socket", "ssl", "subprocess", "smtplib", "http", "fastapi", "uvicorn", "structlog", "logging"),
    }
    allowed = {"runtime.clock": {"asyncio"}}  # the one noun that sleeps
    found = {
        (name, root)
        for name, path in modules().items()
        if floor_of(name) == floor
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        for root in roots(node)
        if root in speaking - allowed.get(name, set())
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


def test_only_doors_read_the_environment() -> None:
    """Settings are built in a door and handed down: nobody below makes its own, or looks into os.environ."""
    makers = [
        name
        for name, path in modules().items()
        if floor_of(name) not in {"doors", "side"}
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if (isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "Settings")
        or (isinstance(node, ast.Attribute) and node.attr in {"environ", "getenv"})
    ]
    assert makers == []


def test_the_mock_is_an_application_of_its_own() -> None:
    """The mock Slack shares nothing with the service, so that neither can hide the other's mistakes."""
    for here, there in (("service", "mock_slack"), ("mock_slack", "service")):
        for path in (ROOT / here).rglob("*.py"):
            tree = ast.parse(path.read_text(encoding="utf-8"))
            assert there not in {root for node in ast.walk(tree) for root in roots(node)}, path
