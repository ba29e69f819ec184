"""What OpenAPI says of identities: how each route is shown one, so that the page under /docs can be tried."""

from typing import Any, Final

from service.api.identity.authentication import FREE, INTERNAL

_BEARER: Final = {
    "type": "http",
    "scheme": "bearer",
    "description": "An API key, an access token of `/api/v1/auth/login`, or an ID token of an issuer.",
}
_KEY: Final = {
    "type": "apiKey",
    "in": "header",
    "name": "X-Service-Key",
    "description": "An API key; under `/internal/` the key of other services. It wins over `Authorization`.",
}


def say_how_to_authenticate(document: dict[str, Any]) -> dict[str, Any]:
    """Return the OpenAPI `document` with the ways to show an identity, and which routes ask for none."""
    document["components"]["securitySchemes"] = {"bearer": _BEARER, "key": _KEY}
    # The last one is none at all: nobody is asked before the first identity.
    document["security"] = [{"bearer": []}, {"key": []}, {}]
    for path, item in document["paths"].items():
        for operation in item.values():
            if path in FREE:
                operation["security"] = []
            elif path.startswith(INTERNAL):
                operation["security"] = [{"key": []}]
    return document
