"""Asking: what it costs a request that somebody is asked who they are."""

import http.client
import json
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from statistics import median
from typing import Any, Final

import orjson

from benchmarks import wall
from benchmarks.data_shape import Shape
from benchmarks.measure import SERVICE, clean_environment, made
from benchmarks.report import Section, Target
from benchmarks.serving import Serving, serving

ROUNDS: Final = {"small": 15, "full": 40}
REQUESTS: Final = 50
"""Of each kind in a round; the kinds take turns, so that the machine's other work meets all of them."""
SHAPE: Final = Shape(accounts=1_000, layout="shuffled")
PASSWORD: Final = "correct horse battery staple"  # noqa: S105  # of a database that lives for a minute


def bench(size: str) -> list[Section]:
    """Return the sections."""
    with _two_services() as (open_one, closed_one, key, token, run_id):
        kinds = {
            "nobody is asked (`AUTH=none`)": (open_one, {}),
            "an API key": (closed_one, {"X-Service-Key": key}),
            "a person's access token": (closed_one, {"Authorization": f"Bearer {token}"}),
        }
        connections = {name: service.connect() for name, (service, _) in kinds.items()}
        taken: dict[str, list[float]] = {name: [] for name in kinds}
        for _ in range(ROUNDS[size]):
            for name, (_, headers) in kinds.items():
                taken[name].append(_ask(connections[name], f"/runs/{run_id}", headers))
    found = {name: median(seconds) * 1000 for name, seconds in taken.items()}
    first, *others = found
    section = Section(
        title="Asking who it is",
        about=(
            f"`GET /runs/{{id}}` over one connection to a service beside this process, SQLite; medians of "
            f"{ROUNDS[size]} rounds of {REQUESTS} requests, in turns."
        ),
        header=("", "ms"),
        rows=[(name, f"{ms:.2f}") for name, ms in found.items()],
    )
    section.targets = [
        Target(f"`GET /runs/{{id}}` with {name}, against open", found[name] / found[first], 1.5, unit="x")
        for name in others
    ]
    return [section, wall.bench(size)]


def _ask(connection: http.client.HTTPConnection, path: str, headers: Mapping[str, str]) -> float:
    """Return the seconds that one request took, as the mean of a round; raises RuntimeError if one fails."""
    began = time.perf_counter()
    for _ in range(REQUESTS):
        connection.request("GET", path, headers=headers)
        answer = connection.getresponse()
        answer.read()
        if answer.status != 200:
            raise RuntimeError(f"{path} answered {answer.status}")
    return (time.perf_counter() - began) / REQUESTS


@contextmanager
def _two_services() -> Iterator[tuple[Serving, Serving, str, str, str]]:
    """Run an open and a closed service on one database; yield both, a key, a token and a run's id."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        database = {"DATABASE_URL": f"sqlite:///{folder}/asking.db"}
        env = database | {"JWT_KEYS_FILE": f"{folder}/jwt.json"}
        opened = stack.enter_context(serving(database | {"AUTH": "none"}))
        opened.until_healthy()
        _command(env, "keys", "jwt")
        arguments = ("users", "new", "ann@example.com", "--role", "tenant_admin", "--password-stdin")
        _command(env, *arguments, stdin=PASSWORD)
        key = _command(env, "keys", "new", "--name", "bench", "--scope", "read").strip()
        closed = stack.enter_context(serving(env))
        closed.until_healthy()
        run = {"source_uri": made(SHAPE).as_uri(), "month": SHAPE.month, "dry_run": True}
        run_id = _posted(opened, "/runs", run)["run_id"]
        body = {"email": "ann@example.com", "password": PASSWORD}
        token = _posted(closed, "/api/v1/auth/login", body)["data"]["access_token"]
        yield opened, closed, key, token, run_id


def _command(env: Mapping[str, str], *arguments: str, stdin: str = "") -> str:
    done = subprocess.run(
        [*SERVICE, *arguments],
        env=clean_environment(env),
        input=f"{stdin}\n",
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout


def _posted(service: Serving, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
    connection = service.connect()
    connection.request("POST", path, orjson.dumps(body), {"Content-Type": "application/json"})
    found: dict[str, Any] = json.loads(connection.getresponse().read())
    return found
