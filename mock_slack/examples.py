"""The examples: what the API answers about a real source, written for the documentation.

`python -m mock_slack.examples SOURCE FOLDER` previews and runs the month of the committed examples against
the mock Slack and writes `preview.json` and `run.json`. The folder of the source is left out of the answers:
it is a path of the machine that made them.
"""

import json
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any, Final

from mock_slack.side_by_side import get, post, service_beside_mock

MONTH: Final = "2026-01-01"
SHOWN_FOLDER: Final = "file:///data"


def main(source: Path, into: Path) -> None:
    """Write the examples; raises OSError where the service refuses the source."""
    with tempfile.TemporaryDirectory(prefix="risk-alerts-examples-") as folder:
        copy = Path(shutil.copy(source, folder))
        request = {"source_uri": f"file://{copy}", "month": MONTH}
        with service_beside_mock(Path(folder), messages_per_second=20) as (service, _):
            preview = post(f"{service}/preview", request)
            run = get(f"{service}/runs/{post(f'{service}/runs', request)['run_id']}")
        into.mkdir(parents=True, exist_ok=True)
        _write(into / "preview.json", preview, f"file://{folder}")
        _write(into / "run.json", run, f"file://{folder}")


def _write(path: Path, answer: Any, folder: str) -> None:
    text = json.dumps(answer, indent=2, ensure_ascii=False)
    path.write_text(text.replace(folder, SHOWN_FOLDER) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
