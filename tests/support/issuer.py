"""An OIDC issuer on this machine: a real server that publishes keys, rotates them, and fails on demand."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Literal

import jwt
from aiohttp import web
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from jwt.algorithms import ECAlgorithm, RSAAlgorithm

from tests.support.tokens import rsa_key

Kind = Literal["RS256", "ES256"]


class Issuer:
    """What the server answers, and how often it was asked."""

    def __init__(self) -> None:
        self.url = ""
        self.asked: list[str] = []
        self.status = 200
        self.configuration: dict[str, Any] = {}
        """What differs from a right configuration."""
        self.more_keys: list[dict[str, Any]] = []
        """Published beside the issuer's own."""
        self._private: dict[str, tuple[Kind, rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey]] = {}

    def rotate(self, kid: str, kind: Kind = "RS256") -> None:
        """Publish one new key, and no older one."""
        private = rsa_key(kid) if kind == "RS256" else ec.generate_private_key(ec.SECP256R1())
        self._private = {kid: (kind, private)}

    def token(self, kid: str | None = None, **claims: Any) -> str:
        """Sign claims with the issuer's key."""
        (name, (kind, private)), *_ = self._private.items()
        return jwt.encode({"iss": self.url} | claims, private, algorithm=kind, headers={"kid": kid or name})

    async def answer(self, request: web.Request) -> web.Response:
        """Answer with the configuration or with the keys."""
        self.asked.append(request.path)
        if self.status != 200:
            return web.Response(status=self.status)
        if request.path == "/jwks":
            return web.json_response({"keys": [*map(self._public, self._private), *self.more_keys]})
        if request.path == "/huge":
            return web.Response(body=b" " * 1_000_000)
        return web.json_response({"issuer": self.url, "jwks_uri": f"{self.url}/jwks"} | self.configuration)

    def _public(self, kid: str) -> dict[str, Any]:
        kind, private = self._private[kid]
        algorithm = RSAAlgorithm if kind == "RS256" else ECAlgorithm
        jwk: dict[str, Any] = json.loads(algorithm.to_jwk(private.public_key()))  # type: ignore[arg-type]  # each its own
        return jwk | {"kid": kid, "use": "sig", "alg": kind}


@asynccontextmanager
async def running_issuer() -> AsyncIterator[Issuer]:
    """Run an issuer with one key, `first`, until the block is left."""
    issuer = Issuer()
    issuer.rotate("first")
    application = web.Application()
    application.router.add_get("/{path:.*}", issuer.answer)
    runner = web.AppRunner(application)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        issuer.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        yield issuer
    finally:
        await runner.cleanup()
