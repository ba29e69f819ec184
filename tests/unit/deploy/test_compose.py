"""The compose file fits the Compose Specification, and starts what this repository has."""

import json
import re
import subprocess
import sys
from importlib.metadata import packages_distributions
from importlib.resources import files
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import jsonschema_rs
import pytest
import yaml

from service.log_rules.rules_file import load_rules
from service.settings import Settings

ROOT: Final = Path(__file__).parents[3]
FOLDER: Final = ROOT / "deploy" / "compose"
PASSWORD: Final = "0123456789abcdef"


@pytest.fixture
def compose() -> Any:
    """Read the file, with the password that its reader gives."""
    text = (FOLDER / "compose.yaml").read_text(encoding="utf-8")
    given = re.sub(r"\$\{POSTGRES_PASSWORD:\?[^}]*\}", PASSWORD, text)
    return yaml.safe_load(re.sub(r"\$\{\w+:-([^}]*)\}", r"\1", given))


def test_compose_takes_the_file(compose: Any) -> None:
    """The schema of the Compose Specification refuses fields that it does not know."""
    schema = files("check_jsonschema.builtin_schemas").joinpath("vendor/compose-spec.json")
    validator = jsonschema_rs.validator_for(json.loads(schema.read_text("utf-8")))
    assert [f"{one.instance_path}: {one.message}" for one in validator.iter_errors(compose)] == []
    compose["services"]["service"]["enviroment"] = {}
    assert not validator.is_valid(compose)


def test_the_service_starts_with_its_settings(compose: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each variable is a setting that takes its value; who asks needs a key, as the image says."""
    service = compose["services"]["service"]
    environment = service["environment"]
    assert {name.lower() for name in environment} <= set(Settings.model_fields)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    settings = Settings(_env_file=None)
    assert settings.database_url is not None
    assert PASSWORD in settings.database_url.get_secret_value()
    assert "@database:" in settings.database_url.get_secret_value()
    assert settings.memory_limit_mb is not None
    assert service["mem_limit"] == f"{settings.memory_limit_mb * 3 // 2}m"


def test_what_is_mounted_is_there(compose: Any) -> None:
    """The mock, and the rules under the folder of rules; the logs are the reader's own."""
    services = compose["services"]
    mounted = {
        target: (FOLDER / source).resolve()
        for service in services.values()
        for source, target, *_ in (volume.split(":") for volume in service.get("volumes", ()))
        if source.startswith(".")
    }
    assert mounted.pop("/data/logs") == FOLDER / "logs"
    environment = services["service"]["environment"]
    assert environment["ALLOWED_SOURCES"] == '["file:///data/logs"]'
    assert load_rules(mounted.pop(f"{environment['RULES_FOLDER']}/mobile.toml")).rules
    assert mounted.pop("/etc/prometheus") == ROOT / "deploy" / "prometheus"
    assert mounted == {"/opt/mock/mock_slack": ROOT / "mock_slack"}
    assert (FOLDER / services["service"]["build"]).resolve() == ROOT


def test_prometheus_reads_the_service(compose: Any) -> None:
    """At its address and path, with the key that the service knows, and with the rules beside its file."""
    services = compose["services"]
    prometheus = services["prometheus"]
    assert prometheus["profiles"] == ["metrics"]
    (folder,) = (volume.split(":")[0] for volume in prometheus["volumes"])
    read = yaml.safe_load((FOLDER / folder / "prometheus.yml").read_text(encoding="utf-8"))
    (job,) = read["scrape_configs"]
    ((target,),) = (each["targets"] for each in job["static_configs"])
    host, port = target.split(":")
    assert services[host]["ports"] == [f"127.0.0.1:8080:{port}"]
    assert "metrics_path" not in job  # its own default is ours
    (secret,) = prometheus["secrets"]
    assert job["authorization"] == {"credentials_file": f"/run/secrets/{secret}"}
    assert compose["secrets"][secret] == {"environment": "INTERNAL_SERVICE_KEY"}
    assert "INTERNAL_SERVICE_KEY" in services[host]["environment"]
    for name in read["rule_files"]:
        (group,) = yaml.safe_load((FOLDER / folder / name).read_text(encoding="utf-8"))["groups"]
        assert all({"alert", "expr", "annotations"} <= set(rule) for rule in group["rules"])


def test_ports_are_this_machines_alone(compose: Any) -> None:
    """Nobody elsewhere reaches the service, the mock or the database."""
    published = [port for service in compose["services"].values() for port in service.get("ports", ())]
    assert sorted(published) == ["127.0.0.1:8001:8001", "127.0.0.1:8080:8080", "127.0.0.1:9090:9090"]
    assert "ports" not in compose["services"]["database"]


def test_each_waits_for_what_it_needs(compose: Any) -> None:
    """The database is there once it listens to others: over its socket it answers before, on a new volume."""
    services = compose["services"]
    check = services["database"]["healthcheck"]["test"]
    assert check[:2] == ["CMD", "pg_isready"]
    assert check[check.index("--host") + 1] == "127.0.0.1"
    assert services["service"]["depends_on"] == {
        name: {"condition": "service_healthy"} for name in ("database", "mock-slack")
    }
    url = urlsplit(services["service"]["environment"]["DATABASE_URL"])
    database = services["database"]["environment"]
    assert (url.hostname, url.port, url.username) == ("database", 5432, database["POSTGRES_USER"])
    assert (url.password, url.path[1:]) == (PASSWORD, database["POSTGRES_DB"])
    assert database["POSTGRES_PASSWORD"] == PASSWORD


def test_an_image_is_built_once(compose: Any) -> None:
    """Builds run side by side, and two that give an image one name fail; who only uses it has its name."""
    services = compose["services"]
    builders = [name for name, service in services.items() if "build" in service]
    assert builders == ["service"]
    assert services["mock-slack"]["image"] == services["service"]["image"]


def test_the_image_has_all_that_the_mock_needs() -> None:
    """The mock runs in the service's image, whose packages are those of its lock file."""
    code = "import sys, mock_slack.__main__; print(*{name.partition('.')[0] for name in sys.modules})"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    distributions = packages_distributions()
    needed = {name for module in done.stdout.split() for name in distributions.get(module, ())}
    locked = set(
        re.findall(r"^([a-z0-9][a-z0-9_.-]*)==", (ROOT / "requirements.lock").read_text(), re.MULTILINE)
    )
    assert {_plain(name) for name in needed} - {"risk-alerts", "setuptools"} <= {
        _plain(name) for name in locked
    }


def _plain(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()
