"""The bare loop: POST recorded payloads with aiohttp over so many connections, and nothing else.

python -m benchmarks.bare_loop FILE BASE_URL CONNECTIONS
"""

import asyncio
import json
import sys
from collections.abc import Iterator
from pathlib import Path

import aiohttp
import uvloop


async def post_all(payloads: Iterator[tuple[str, str]], base: str, connections: int) -> None:
    """Send every payload once; raises RuntimeError for any other answer than 200."""
    connector = aiohttp.TCPConnector(limit=connections)
    async with aiohttp.ClientSession(connector=connector) as session:

        async def work() -> None:
            for path, body in payloads:
                headers = {"Content-Type": "application/json"}
                async with session.post(base + path, data=body.encode(), headers=headers) as answer:
                    await answer.read()
                    if answer.status != 200:
                        raise RuntimeError(f"answered {answer.status}")

        await asyncio.gather(*(work() for _ in range(connections)))


def main() -> None:
    """Send what the file holds."""
    path, base, connections = sys.argv[1:]
    payloads = [tuple(json.loads(line)) for line in Path(path).read_text().splitlines()]
    uvloop.run(post_all(iter(payloads), base, int(connections)))


if __name__ == "__main__":
    main()
