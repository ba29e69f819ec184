"""`python -m mock_slack`: run the mock under uvicorn, settings from the environment."""

import argparse

import uvicorn
from pydantic import ValidationError

from mock_slack.server import create_app
from mock_slack.settings import Settings


def main() -> None:
    """Serve until interrupted; exit with status 2 and the reasons when a setting is wrong."""
    parser = argparse.ArgumentParser(
        prog="python -m mock_slack", description="A stand-in for Slack's webhooks."
    )
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: %(default)s)")
    parser.add_argument("--port", type=int, help="port to listen on (default: MOCK_SLACK_PORT, else 8001)")
    given = parser.parse_args()
    try:
        settings = Settings() if given.port is None else Settings(port=given.port)
    except ValidationError as error:
        parser.error(str(error))
    uvicorn.run(
        create_app(settings),
        host=given.host,
        port=settings.port,
        access_log=False,
        # Requests that a script keeps waiting do not keep the mock from stopping.
        timeout_graceful_shutdown=1,
    )


if __name__ == "__main__":
    main()
