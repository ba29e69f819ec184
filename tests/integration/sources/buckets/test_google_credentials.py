"""Google's credentials: every kind that may be set is found, sent, renewed in time and never repeated."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from service.domain.errors import StorageAccessRefusedError, StorageUnreachableError
from service.domain.source_uri import SourceUri
from service.sources.opening import open_source
from service.sources.source import StorageAccess
from tests.support.http_servers import QuietHandler, serving
from tests.support.listing import listed

CANARY = "canary-SECRET-4711"


class _Google(QuietHandler):
    # Hands out tokens, as the token server and as the metadata server, and lists objects for who has one.

    lifetime_s: ClassVar[int] = 3600
    refuses: ClassVar[bool] = False
    issued: ClassVar[list[str]] = []
    seen: ClassVar[list[str]] = []

    def do_POST(self) -> None:  # noqa: N802  # the name that http.server calls
        self.rfile.read(int(self.headers["Content-Length"]))
        if self.refuses:
            self._answer(400, {"error": "invalid_grant", "error_description": CANARY})
        else:
            self._issue()

    def do_GET(self) -> None:  # noqa: N802  # the name that http.server calls
        if self.path.startswith("/computeMetadata/v1/instance/service-accounts/default/token"):
            self._issue()
        elif self.path.startswith("/computeMetadata/v1/instance/service-accounts/"):
            self._answer(200, {"email": "a@example.com", "scopes": [], "aliases": ["default"]})
        elif self.path.startswith("/computeMetadata") or self.path == "/":
            self._answer(200, "project")
        else:
            token = self.headers.get("Authorization", "").removeprefix("Bearer ")
            self.seen.append(token)
            known = token in self.issued or token == "ya29.bare"
            items = [{"name": "t/a.parquet", "size": "1", "generation": "1"}]
            self._answer(200 if known else 401, {"items": items} if known else {})

    def do_CONNECT(self) -> None:  # noqa: N802  # the name that http.server calls
        self.seen.append(self.path)
        self._answer(503, {})

    def _issue(self) -> None:
        self.issued.append(f"token-{len(self.issued)}")
        lifetime = {"expires_in": self.lifetime_s, "token_type": "Bearer"}
        self._answer(200, {"access_token": self.issued[-1]} | lifetime)

    def _answer(self, status: int, content: Any) -> None:
        headers = {"Metadata-Flavor": "Google", "Content-Type": "application/json"}
        self.answer(status, json.dumps(content).encode(), **headers)


@pytest.fixture
def google() -> Iterator[tuple[type[_Google], str]]:
    """Run a Google of our own."""

    class Google(_Google):
        issued: ClassVar[list[str]] = []
        seen: ClassVar[list[str]] = []

    with serving(Google) as url:
        yield Google, url


@pytest.fixture(autouse=True)
def nothing_else(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Take away what this machine may have."""
    monkeypatch.delenv("GOOGLE_APPLICATION_CREDENTIALS", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("CLOUDSDK_CONFIG", str(tmp_path))
    monkeypatch.setenv("NO_GCE_CHECK", "true")


def service_key(url: str) -> str:
    """Make the key of a service account, whose tokens come from `url`."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    return json.dumps(
        {
            "type": "service_account",
            "client_email": "reader@example.com",
            "private_key": pem,
            "private_key_id": "1",
            "token_uri": f"{url}/token",
        }
    )


def listing(url: str, token: str | None) -> list[str]:
    """List the folder with a token."""
    access = StorageAccess(gcs_token=token, gcs_endpoint_url=url)
    with open_source(SourceUri.parse("gs://bucket/t/"), access) as source:
        return [file.name for file in [*listed(source), *listed(source)]]


@pytest.mark.parametrize("kind", ["service text", "service file", "default", "bare"])
def test_each_kind_of_credentials_is_found_and_sent(
    google: tuple[type[_Google], str], kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A key's text or file, the default's, a bare token; one token serves many requests."""
    store, url = google
    file = tmp_path / "key.json"
    token: str | None = None
    match kind:
        case "service text":
            token = service_key(url)
        case "service file":
            file.write_text(service_key(url))
            token = str(file)
        case "default":
            file.write_text(service_key(url))
            monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(file))
        case "bare":
            token = "ya29.bare"
    assert listing(url, token) == ["a.parquet"] * 2
    assert store.seen == ["ya29.bare" if kind == "bare" else "token-0"] * 2


@pytest.mark.parametrize("token", [None, "cloud"])
def test_a_machine_of_googles_has_its_own_credentials(
    google: tuple[type[_Google], str], token: str | None
) -> None:
    """Without anything set, Google's metadata server is asked, as on Cloud Run."""
    store, url = google
    program = f"""
import threading
from service.domain.source_uri import SourceUri
from service.sources.opening import open_source
from service.sources.parquet.file_kind import PARQUET
from service.sources.source import StorageAccess
access = StorageAccess(gcs_token={token!r}, gcs_endpoint_url={url!r})
with open_source(SourceUri.parse("gs://bucket/t/"), access) as source:
    source.files(PARQUET, threading.Event())
"""
    # In a process of its own: Google's library looks where the server is when it is imported.
    host = url.removeprefix("http://")
    env = {name: value for name, value in os.environ.items() if name != "NO_GCE_CHECK"}
    metadata = {"GCE_METADATA_HOST": host, "GCE_METADATA_IP": host}
    subprocess.run([sys.executable, "-c", program], check=True, env=env | metadata)
    assert store.seen == ["token-0"]


def test_a_token_that_ends_soon_is_renewed(google: tuple[type[_Google], str]) -> None:
    """A listing that lasts longer than its token goes on with the next one."""
    store, url = google
    store.lifetime_s = 10
    assert listing(url, service_key(url)) == ["a.parquet"] * 2
    assert store.seen == ["token-0", "token-1"]


def test_a_key_that_is_no_longer_valid_is_a_refusal(google: tuple[type[_Google], str]) -> None:
    """What Google says about it is not repeated."""
    store, url = google
    store.refuses = True
    with pytest.raises(StorageAccessRefusedError, match="GCS_TOKEN") as refusal:
        listing(url, service_key(url))
    assert CANARY not in str(refusal.value)


def test_a_token_server_that_is_away_is_unreachable(google: tuple[type[_Google], str]) -> None:
    """It may be there the next time, so it is no refusal."""
    _, url = google
    with pytest.raises(StorageUnreachableError, match="token server"):
        listing(url, service_key("http://127.0.0.1:9"))


def test_a_users_key_goes_to_googles_own_token_server(
    google: tuple[type[_Google], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The credentials that a login leaves are taken, too, and sent through the proxy of the environment."""
    store, url = google
    monkeypatch.setenv("HTTPS_PROXY", url)
    login = {"type": "authorized_user", "client_id": "c", "client_secret": CANARY, "refresh_token": CANARY}
    with pytest.raises(StorageUnreachableError, match="token server") as error:
        listing(url, json.dumps(login))
    assert set(store.seen) == {"oauth2.googleapis.com:443"}
    assert CANARY not in str(error.value)


def test_a_token_of_somebody_else_is_refused(google: tuple[type[_Google], str]) -> None:
    """The storage's 401 is a refusal."""
    with pytest.raises(StorageAccessRefusedError, match="credentials"):
        listing(google[1], "ya29.unknown")
