"""An evaluator of its own process: what a file does to it, it does not do to the tests.

    with Evaluator() as evaluator:
        evaluator.says(path)  # "2 alerts", or the code of the error that was raised

A native crash of the Parquet library ends a process without a word, and a loop without an end holds it for
ever: both are told as what they are, and the next question finds a new process.
"""

import json
import resource
import select
import subprocess
import sys
from pathlib import Path
from typing import Final, Self

PATIENCE_S: Final = 60
MEMORY: Final = 8 * 1024**3
"""Of addresses: whoever asks for more gets an error instead, and the machine stays alive."""


class Evaluator:
    """A process that evaluates one file after another."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[str] | None = None

    def says(self, path: Path) -> str:
        """Return what became of an evaluation.

        Raises AssertionError where it crashed, hung, or raised anything that is not listed.
        """
        process = self._process = self._process or subprocess.Popen(
            [sys.executable, __file__],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=Path(__file__).parents[2],
        )
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(f"{json.dumps(str(path))}\n")
        process.stdin.flush()
        ready, _, _ = select.select([process.stdout], [], [], PATIENCE_S)
        line = process.stdout.readline() if ready else ""
        if not line:
            process.kill()
            _, said = process.communicate()
            self._process = None
            how = f"crashed the process ({process.returncode})" if ready else f"held it for {PATIENCE_S} s"
            raise AssertionError(f"{path} {how}: {said[-2000:]}")
        answer: dict[str, str] = json.loads(line)
        assert "unlisted" not in answer, f"{path} raised what nobody listed: {answer['unlisted']}"
        return answer["said"]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.communicate()


def _serve() -> None:
    """Run in the process: evaluate what standard input names, line by line."""
    import asyncio  # noqa: PLC0415 - only in the process
    import traceback  # noqa: PLC0415 - as above

    sys.path.insert(0, str(Path(__file__).parents[2]))
    from service.account_risk.evaluate import evaluate  # noqa: PLC0415 - as above
    from service.account_risk.options import EvaluationOptions  # noqa: PLC0415 - as above
    from service.account_risk.risk_alert import RiskAlert  # noqa: PLC0415 - as above
    from service.delivery.channels import Channels  # noqa: PLC0415 - after the line above
    from service.delivery.routing import route  # noqa: PLC0415 - as above
    from service.domain.errors import RiskAlertsError  # noqa: PLC0415 - as above
    from service.domain.progress import Progress  # noqa: PLC0415 - as above
    from service.domain.source_uri import SourceUri  # noqa: PLC0415 - as above
    from service.runs.plan_digest import plan_digest  # noqa: PLC0415 - as above
    from service.sources.opening import open_source  # noqa: PLC0415 - as above
    from service.sources.source import StorageAccess  # noqa: PLC0415 - as above
    from tests.support.evaluating import JANUARY  # noqa: PLC0415 - as above

    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    channels = Channels(by_region={"AMER": "amer"})

    async def said(path: str) -> str:
        with open_source(SourceUri.parse(Path(path).as_uri()), StorageAccess()) as source:
            found = await evaluate(source, JANUARY, options=EvaluationOptions(), progress=Progress())
        found.rows.check()
        plan_digest(found, channels, RiskAlert(details_base_url="https://app.example.com"))
        return f"{sum(1 for _ in route(found.alerts, channels, RiskAlert(details_base_url='x')))} alerts"

    async def serve() -> None:
        for line in sys.stdin:
            try:
                answer = {"said": await said(json.loads(line))}
            except RiskAlertsError as error:
                answer = {"said": error.code}
            except BaseException:  # noqa: BLE001 - told to the parent
                answer = {"unlisted": traceback.format_exc()}
            print(json.dumps(answer), flush=True)  # noqa: T201 - the parent reads it

    asyncio.run(serve())


if __name__ == "__main__":
    _serve()
