"""Keys for tests, made once each, and tokens as forgers make them."""

import base64
import hmac
import json
from functools import cache
from typing import Any

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa


@cache
def rsa_key(name: str) -> rsa.RSAPrivateKey:
    """Return the RSA key of this name."""
    del name
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


def public_pem(key: rsa.RSAPrivateKey) -> bytes:
    """Return the public half as everybody may have it."""
    return key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )


def parts_of(token: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return header and claims of a token, whatever its signature."""
    header, claims, _ = token.split(".")
    return _decoded(header), _decoded(claims)


def unsigned(header: dict[str, Any], claims: dict[str, Any]) -> str:
    """Return a token of the algorithm `none`."""
    return f"{_encoded(header | {'alg': 'none'})}.{_encoded(claims)}."


def signed_with_the_public_key(header: dict[str, Any], claims: dict[str, Any], public: bytes) -> str:
    """Return a token of HS256 whose secret is a public key: libraries refuse to make one."""
    text = f"{_encoded(header | {'alg': 'HS256'})}.{_encoded(claims)}"
    return f"{text}.{_base64url(hmac.digest(public, text.encode(), 'sha256'))}"


def _encoded(part: dict[str, Any]) -> str:
    return _base64url(json.dumps(part).encode())


def _decoded(part: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
    return found


def _base64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
