"""A mock that runs: started in a thread of this process, and talked to over HTTP."""

import socket
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from http import HTTPMethod
from http.client import HTTPConnection
from pathlib import Path
from typing import Any, Literal
from urllib.parse import quote, urlsplit

import orjson
import uvicorn
from pydantic import TypeAdapter

from mock_slack.log import Record
from mock_slack.script import Step
from mock_slack.server import create_app
from mock_slack.settings import GivenSettings
from mock_slack.stats import Report
from mock_slack.web_api.behaviour import Behaviour
from mock_slack.web_api.pressing import Press

_TIMEOUT_S = 10.0
_STEPS = TypeAdapter(tuple[Step, ...])


@dataclass(frozen=True, slots=True)
class RunningMock:
    """A client of a mock that runs anywhere: in a thread (`running_mock`) or as a process of its own.

    Its methods block for milliseconds; none of them needs the caller's event loop. Each raises `RuntimeError`
    when the mock does not take the request, and OSError when there is no mock.
    """

    # Scheme, host and port, without a trailing slash.
    url: str

    @property
    def webhook_base_url(self) -> str:
        """What SLACK_WEBHOOK_BASE_URL is set to: messages go to `{webhook_base_url}/{channel}`."""
        return f"{self.url}/slack/webhook"

    @property
    def api_url(self) -> str:
        """What SLACK_API_URL is set to: the Web API's methods are `{api_url}/{method}`."""
        return f"{self.url}/api"

    def behave(self, **behaviour: Any) -> None:
        """Let the Web API behave so from now on: the fields of `mock_slack.web_api.behaviour.Behaviour`."""
        self._call(HTTPMethod.PUT, "/web-api", Behaviour(**behaviour).model_dump_json().encode())

    def calls(self) -> dict[str, int]:
        """Return how often each method of the Web API was called."""
        calls: dict[str, int] = orjson.loads(self._call(HTTPMethod.GET, "/web-api/calls"))
        return calls

    def messages(self, channel: str) -> list[dict[str, Any]]:
        """Return what a bot has posted to a channel, oldest first."""
        answer = self._call(HTTPMethod.GET, f"/web-api/messages/{quote(channel, safe='')}")
        messages: list[dict[str, Any]] = orjson.loads(answer)["messages"]
        return messages

    def press(self, **press: Any) -> dict[str, Any]:
        """Press a button: the fields of `mock_slack.web_api.pressing.Press`; returns what was answered."""
        answer = self._call(HTTPMethod.POST, "/press", Press(**press).model_dump_json().encode())
        said: dict[str, Any] = orjson.loads(answer)
        return said

    def answers(self) -> list[dict[str, Any]]:
        """Return what the app has answered to presses, each with whom it was for."""
        answer = self._call(HTTPMethod.GET, "/web-api/answers")
        answers: list[dict[str, Any]] = orjson.loads(answer)["answers"]
        return answers

    def script(self, channel: str, *steps: Step) -> None:
        """Lay down the answers for the channel's next requests, after those already waiting."""
        self._call(HTTPMethod.POST, f"/script/{quote(channel, safe='')}", _STEPS.dump_json(steps))

    def waiting(self) -> dict[str, int]:
        """Return how many scripted answers have not been given yet, per channel that has any."""
        waiting: dict[str, int] = orjson.loads(self._call(HTTPMethod.GET, "/script"))["waiting"]
        return waiting

    def stats(self) -> Report:
        """Return the figures per channel and in total."""
        return Report.model_validate_json(self._call(HTTPMethod.GET, "/stats"))

    def records(self, limit: int = 100_000) -> list[Record]:
        """Return the last `limit` records since the start or the last reset, newest last."""
        answer = orjson.loads(self._call(HTTPMethod.GET, f"/logs?limit={limit}"))
        return [Record(**record) for record in answer["records"]]

    def health(self) -> dict[str, Any]:
        """Return the settings the mock runs with, the seed in use among them."""
        health: dict[str, Any] = orjson.loads(self._call(HTTPMethod.GET, "/health"))
        return health

    def reset(self) -> None:
        """Return the mock to its state after the start."""
        self._call(HTTPMethod.POST, "/reset")

    def _call(self, method: HTTPMethod, path: str, body: bytes | None = None) -> bytes:
        headers = {} if body is None else {"Content-Type": "application/json"}
        with closing(HTTPConnection(urlsplit(self.url).netloc, timeout=_TIMEOUT_S)) as connection:
            connection.request(method, path, body, headers)
            response = connection.getresponse()
            answer = response.read()
        if response.status not in range(200, 300):
            raise RuntimeError(f"{method} {path}: {response.status} {answer.decode(errors='replace')}")
        return answer


@contextmanager
def running_mock(
    *,
    http: Literal["auto", "h11", "httptools"] = "auto",
    clock: Callable[[], float] = time.monotonic,
    wall: Callable[[], float] = time.time,
    **settings: Any,
) -> Iterator[RunningMock]:
    """Run a mock in a daemon thread with an event loop of its own until the block is left.

    `settings` are the fields of `mock_slack.settings.Settings`; the environment is not read. Where they say
    nothing the mock is one that tests want: no faults, any free port, a log that goes with the block. `http`
    is uvicorn's HTTP implementation; `clock` and `wall` are read in the mock's thread.

    Stopping takes about 0.2 s (uvicorn's) and 1 s more while a request still hangs, so share one mock among
    many tests and `reset` it between them.

    Raises `pydantic.ValidationError` for wrong settings and OSError when the port is taken.
    """
    with ExitStack() as stack:
        if "log_path" not in settings:
            folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="mock_slack_"))
            settings["log_path"] = Path(folder, "requests.jsonl")
        given = GivenSettings(**{"fail_rate_429": 0, "fail_rate_500": 0, "port": 0} | settings)
        # It listens before the thread starts: the port is known, and an early request waits for its answer.
        listener = stack.enter_context(socket.create_server(("127.0.0.1", given.port)))
        server = uvicorn.Server(
            uvicorn.Config(
                create_app(given, clock=clock, wall=wall),
                http=http,
                ws="none",
                lifespan="on",
                # The process's logging belongs to whoever runs the mock.
                log_config=None,
                access_log=False,
                # A request that a script keeps waiting ends with the mock.
                timeout_graceful_shutdown=1,
            )
        )
        thread = threading.Thread(target=server.run, args=([listener],), name="mock-slack", daemon=True)
        thread.start()
        stack.callback(thread.join, _TIMEOUT_S)
        stack.callback(setattr, server, "should_exit", True)  # noqa: FBT003  setattr takes no keywords
        mock = RunningMock(f"http://127.0.0.1:{listener.getsockname()[1]}")
        mock.health()
        yield mock
