"""The documents cannot lag: they name what there is, and name nothing that there is not."""

import ast
import json
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from fastapi.routing import APIRoute
from typer.main import get_command

from service.api.application import create_app
from service.api.examples import examples
from service.cli.commands import commands
from service.default_risk import errors as _default_risk  # noqa: F401  # its codes are in the table
from service.domain.delivery_status import DeliveryStatus, Reason
from service.domain.errors import Kind, errors_by_code
from service.settings import Settings
from service.store.schema.every_table import metadata
from tests.support.documents import DOCUMENTS, anchor_of

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
API = (ROOT / "docs" / "api.md").read_text(encoding="utf-8")
OPERATING = (ROOT / "docs" / "operating.md").read_text(encoding="utf-8")
ARCHITECTURE = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
GLOSSARY = (ROOT / "docs" / "glossary.md").read_text(encoding="utf-8")
DEPLOYED = sorted((ROOT / "deploy").rglob("*.*"))
GIVEN_BY_OTHERS = {"AWS_DEFAULT_REGION"}
"""Variables in deploy/ that other programs read."""


def environment_names(text: str) -> set[str]:
    """Return the environment variables that a file of deploy/ sets."""
    return set(re.findall(r"(?:- name: |\"name\": \")([A-Z][A-Z0-9_]+)\"?", text))


def test_the_readme_is_read_in_five_minutes() -> None:
    """It stays short, and what it leaves out is one link away: no page of docs/ is without one."""
    assert len(README.encode()) <= 8 * 1024
    pages = {path.name for path in (ROOT / "docs").glob("*.md")}
    assert pages - set(re.findall(r"\]\(docs/([a-z-]+\.md)\)", README)) == set()


def test_no_page_is_a_dead_end() -> None:
    """Each leads on to others, but for the one that a benchmark writes."""
    pages = [page for page in (ROOT / "docs").glob("*.md") if page.name != "benchmarks.md"]
    assert [page.name for page in pages if not re.search(r"\]\([./a-z-]+\.md", page.read_text("utf-8"))] == []


def test_the_page_of_the_api_names_every_endpoint() -> None:
    """Each route of the API stands there with its method."""
    api = create_app(Settings(_env_file=None))
    api.state.late_routes.add()
    routes = [route for route in api.routes if isinstance(route, APIRoute)]
    spoken = re.sub(r"\?[^`\s']*", "", API)
    for route in (route for route in routes if route.include_in_schema):
        assert any(f"{method} {route.path}" in spoken for method in route.methods or ()), route.path


def test_the_page_of_the_api_has_the_table_of_errors() -> None:
    """Every code stands under its status, with whether a run was recorded for it; and no code but those."""
    recorded = {
        Kind.REFUSED: "no",
        Kind.SOURCE: "yes",
        Kind.RUN: "yes",
        Kind.SERVICE: "if it could be",
    }
    table = {
        (code, int(status), run)
        for status, codes, run in re.findall(r"^\| (\d{3}) \| (.+?) \| ([^|]+) \|$", API, re.MULTILINE)
        for code in re.findall(r"`([a-z_]+)`", codes)
    }
    assert table == {
        (code, error.http_status, recorded[error.kind]) for code, error in errors_by_code().items()
    }


@pytest.mark.parametrize("reason", Reason)
def test_reasons_are_words_of_one_spelling(reason: Reason) -> None:
    """A reason is its own name in lower case, so that rows, logs and code agree."""
    assert reason.value == reason.name.lower()


def test_the_page_of_operating_says_what_to_do_about_every_failure() -> None:
    """Each code with which a run fails, and each reason why an alert was not delivered, stands in a table."""
    listed = set(re.findall(r"`([a-z_]+)`", "".join(re.findall(r"^\| (`.+?) \|", OPERATING, re.MULTILINE))))
    failures = {code for code, error in errors_by_code().items() if error.kind is not Kind.REFUSED}
    assert (failures | set(Reason)) - listed == set()


def test_the_architecture_draws_every_state_of_a_delivery() -> None:
    """The state machine in the documents has the states of the code."""
    for status in DeliveryStatus:
        assert re.search(rf"\b{status}\b", ARCHITECTURE), status


def test_the_map_of_packages_says_what_they_say_themselves() -> None:
    """Each package stands in the map with the first line of its `__init__`, and the map has no other."""
    ideas = {
        path.parent.relative_to(ROOT / "service").as_posix(): (
            ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
        ).partition("\n")[0]
        for path in (ROOT / "service").rglob("__init__.py")
    }
    for inner in (".", "api/examples", "store/schema/migrations", "store/schema/migrations/versions"):
        del ideas[inner]
    assert dict(re.findall(r"^\| `([a-z0-9_/]+)/` \| (.+) \|$", ARCHITECTURE, re.MULTILINE)) == ideas


@pytest.mark.parametrize("name", ["architecture.md", "glossary.md"])
def test_modules_and_functions_in_the_documents_exist(name: str) -> None:
    """`path.py: name` is a module of the service and a function, class or method that it defines."""
    text = (ROOT / "docs" / name).read_text(encoding="utf-8")
    assert [
        f"{path}: {function}"
        for path, function in re.findall(r"`(?:service/)?([a-z_/]+\.py)(?:: ([A-Za-z_.]+))?`", text)
        if not path.startswith("tests/") and function not in defined(ROOT / "service" / path)
    ] == []


def test_the_architecture_has_every_table_of_the_database() -> None:
    """What a row of each is, in a line."""
    section = ARCHITECTURE.partition("## Tables")[2].partition("\n## ")[0]
    assert set(re.findall(r"^\| `(\w+)` \|", section, re.MULTILINE)) == set(metadata.tables)


def test_the_glossary_has_every_status_of_an_alert() -> None:
    """In the words of the data and of people; in doubt with both reasons that make it so."""
    for word in (*DeliveryStatus, Reason.RESPONSE_LOST, Reason.INTERRUPTED):
        assert f"`{word}`" in GLOSSARY, word


def defined(module: Path) -> set[str]:
    """Return the functions, classes and `Class.method`s of a module, and the empty name."""
    body = ast.parse(module.read_text(encoding="utf-8")).body
    names = {""}
    for node in body:
        match node:
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name):
                names.add(name)
            case ast.ClassDef(name=name, body=inner):
                names |= {name} | {f"{name}.{each.name}" for each in inner if hasattr(each, "name")}
    return names


def test_make_targets_of_the_documents_exist() -> None:
    """Whoever copies a make command from the documents finds its target."""
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for document in DOCUMENTS:
        for target in re.findall(r"(?:`|\$ )make ([a-z]+)\b", document.read_text(encoding="utf-8")):
            assert re.search(rf"^{target}:", makefile, re.MULTILINE), f"{document.name}: {target}"


def options_by_command() -> dict[str, set[str]]:
    """Return each command of the command line, as `runs show`, with its options."""

    def walk(group: Any, path: str) -> Iterator[tuple[str, set[str]]]:
        for name, command in getattr(group, "commands", {}).items():
            options = {option for parameter in command.params for option in parameter.opts}
            yield f"{path}{name}", {option for option in options if option.startswith("--")} | {"--help"}
            yield from walk(command, f"{path}{name} ")

    return dict(walk(get_command(commands), ""))


def test_the_page_of_commands_has_each() -> None:
    """No command is left out, but for those that only hold others."""
    page = (ROOT / "docs" / "commands.md").read_text(encoding="utf-8")
    every = options_by_command()
    holders = {path for path in every if any(other.startswith(f"{path} ") for other in every)} - {"runs"}
    assert [path for path in every.keys() - holders if f"| `risk-alerts {path}" not in page] == []


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_commands_of_the_documents_exist(document: Path) -> None:
    """Also where they stand in the text: the command, and each of its options."""
    every = options_by_command()
    text = document.read_text(encoding="utf-8")
    for given in re.findall(r"(?:`|\$ |# )risk-alerts ([a-z][^`\n#]*)", text):
        words = given.split()
        path = next((path for path in (" ".join(words[:2]), words[0]) if path in every), None)
        assert path is not None, given
        assert {word.partition("=")[0] for word in words if word.startswith("--")} <= every[path], given


def test_links_between_documents_lead_somewhere() -> None:
    """No relative link in any document is broken: its file is there, and so is the heading after `#`."""
    for document in DOCUMENTS:
        for target, heading in re.findall(
            r"\]\(([^)#:]*)(?:#([^)]*))?\)", document.read_text(encoding="utf-8")
        ):
            led_to = document.parent / target if target else document
            assert led_to.exists(), f"{document.name}: {target}"
            assert not heading or heading in anchors(led_to), f"{document.name}: {target}#{heading}"


def test_pictures_are_there_and_small() -> None:
    """Whoever opens a page sees its pictures, without waiting for them, or reads what they show."""
    pictures = [
        (document.parent / source, described)
        for document in DOCUMENTS
        for source, described in re.findall(
            r'<img src="([^"]+)"[^>]*?alt="([^"]*)"', document.read_text(encoding="utf-8")
        )
    ]
    assert pictures
    for picture, described in pictures:
        assert 0 < picture.stat().st_size < 150_000, picture
        assert described, picture


def anchors(document: Path) -> set[str]:
    """Return what a link to a heading of the document may have after `#`."""
    headings = re.findall(r"^#+ (.+)$", document.read_text(encoding="utf-8"), re.MULTILINE)
    return {anchor_of(heading) for heading in headings}


@pytest.mark.parametrize(
    "file", [file for file in DEPLOYED if file.suffix in {".yaml", ".yml", ".json"}], ids=str
)
def test_deployments_set_only_settings_that_exist(file: Path) -> None:
    """Every variable that a deployment sets is one that the service reads, and its file is well-formed."""
    text = file.read_text(encoding="utf-8")
    parsed: Any = yaml.safe_load(text) if file.suffix != ".json" else json.loads(text)
    assert parsed
    known = {name.upper() for name in Settings.model_fields}
    assert environment_names(text) <= known | GIVEN_BY_OTHERS


@pytest.mark.parametrize("file", ["gcp/job.yaml", "gcp/service.yaml", "aws/task-definition.json"])
def test_deployments_fence_their_sources_and_keep_their_ledger(file: str) -> None:
    """Each deployment names what may be read, and takes its database's address from a secret."""
    text = (ROOT / "deploy" / file).read_text(encoding="utf-8")
    assert {"ALLOWED_SOURCES", "DATABASE_URL"} <= environment_names(text)
    assert re.search(r"DATABASE_URL\"?,?\s*\"?(valueFrom|.valueFrom)", text)


@pytest.mark.parametrize("file", ["gcp/schedule.sh", "aws/schedule.json"])
def test_schedules_are_daily_on_the_first_five_days(file: str) -> None:
    """The batch job starts on days 1 to 5 of every month."""
    assert re.search(r"0 6 1-5 \* [*?]", (ROOT / "deploy" / file).read_text(encoding="utf-8"))


def test_the_image_is_fenced_locked_and_without_rights() -> None:
    """The Dockerfile installs locked hashes, sets ALLOWED_SOURCES, drops root and has a health check."""
    dockerfile = (ROOT / "Dockerfile").read_text(encoding="utf-8")
    final_stage = dockerfile.split("FROM ")[2]
    assert "--require-hashes" in dockerfile
    for needed in ("ALLOWED_SOURCES=", "USER 10001:10001", "HEALTHCHECK", "--host 0.0.0.0", "$PORT"):
        assert needed in final_stage, needed
    assert "gcc" not in final_stage


def test_what_the_service_reads_of_its_own_is_installed_with_it() -> None:
    """Every file of the package that is no module is named in the package data, so that a wheel has it."""
    with (ROOT / "pyproject.toml").open("rb") as file:
        patterns = tomllib.load(file)["tool"]["setuptools"]["package-data"]["service"]
    listed = {path for pattern in patterns for path in (ROOT / "service").glob(pattern)}
    others = {path for path in (ROOT / "service").rglob("*") if path.is_file()}
    assert {path for path in others if path.suffix not in {".py", ".pyc"}} == listed


def test_what_is_reachable_from_elsewhere_is_fenced() -> None:
    """The documents publish the container on loopback alone, and the deployed service names its hosts."""
    published = re.findall(r" -p (\S+)", (ROOT / "docs" / "deploying.md").read_text(encoding="utf-8"))
    assert published
    assert all(each.startswith("127.0.0.1:") for each in published)
    assert "ALLOWED_HOSTS" in environment_names(
        (ROOT / "deploy/gcp/service.yaml").read_text(encoding="utf-8")
    )


@pytest.mark.parametrize("lock", sorted(ROOT.glob("requirements*.lock")), ids=lambda path: path.name)
def test_lock_files_hold_hashes_and_no_addresses(lock: Path) -> None:
    """Every locked package has hashes, and no index is named."""
    text = lock.read_text(encoding="utf-8")
    packages = re.findall(r"^([a-z0-9._-]+(?:\[[a-z,]+\])?)==", text, re.MULTILINE)
    assert packages
    assert len(packages) <= text.count("--hash=sha256:")
    assert "://" not in text


def test_the_examples_agree_with_each_other() -> None:
    """The committed preview and run are about the same rows and the same alerts."""
    preview = json.loads((ROOT / "docs/examples/preview.json").read_text(encoding="utf-8"))
    run = examples()["run"]
    assert preview["ledger"]["rows_in_source"] == run["ledger"]["rows_in_source"] == 10_587
    assert preview["ledger"]["duplicates"] == run["ledger"]["duplicates"] == 308
    assert preview["total"] == run["counts"]["alerts"] == len(preview["alerts"])
    sample = [alert["account_id"] for alert in run["sample_alerts"]]
    assert [alert["account_id"] for alert in preview["alerts"]][: len(sample)] == sample


def test_wherever_exit_codes_are_listed_all_of_them_are() -> None:
    """A scheduler is set up from such a list, so that each names every code there is."""
    folders = (ROOT, ROOT / "docs", ROOT / "deploy", ROOT / "deploy" / "gcp")
    lists = {
        path.relative_to(ROOT).as_posix(): text[found.start() :][:700]
        for folder in folders
        for path in folder.iterdir()
        if path.suffix in {".md", ".yaml"}
        for text in (path.read_text(encoding="utf-8"),)
        if (found := re.search(r"xit code (?:(?:is )?0(?::| when every)|\| means)", text))
    }
    assert len(lists) >= 3
    codes = {0, 2} | {error.exit_code for error in errors_by_code().values()}
    missing = [
        (name, code) for name, text in lists.items() for code in codes if not re.search(rf"\b{code}\b", text)
    ]
    assert missing == []
