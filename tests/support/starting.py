"""`serve`, which reports what it has loaded: `python -m tests.support.starting serve …`.

Lines of JSON on stdout: the modules, and FastAPI's models that are built, at the first look after a
request was answered; once the service has loaded what it put off, what the event loop's thread imported;
once it works unasked, the modules again.
"""

import json
import sys
import threading

from service.cli.main import main
from service.cli.serving import DrainingServer  # first of what loads FastAPI, as when `serve` is called

from fastapi.openapi.models import Info, OAuth2, OpenAPI  # isort: skip

MODELS = (Info, OpenAPI, OAuth2)
_works = DrainingServer.on_tick
_imported_by_the_loop: list[str] = []


async def _on_tick(self: DrainingServer, counter: int) -> bool:
    # On the event loop itself, so that nothing can be loaded between the answer and this look.
    if self.server_state.total_requests and self._loading is None:
        _report(
            answered=sorted(sys.modules),
            built=[each.__name__ for each in MODELS if each.__pydantic_complete__],
        )
        sys.addaudithook(_note)
    elif self._loading is not None and self._loading.done():
        _report(loaded=sorted(sys.modules), by_the_loop=_imported_by_the_loop)
        if "service.jobs.unasked" in sys.modules:
            _report(begun=sorted(sys.modules))
    return await _works(self, counter)


def _report(**names: list[str]) -> None:
    sys.stdout.write(json.dumps(names) + "\n")
    sys.stdout.flush()


def _note(event: str, args: tuple[object, ...]) -> None:
    if event == "import" and threading.current_thread() is threading.main_thread():
        _imported_by_the_loop.append(str(args[0]))


if __name__ == "__main__":
    DrainingServer.on_tick = _on_tick  # type: ignore[method-assign]  # observed from outside, as it works
    main()
