"""Log-in over HTTP: pairs of tokens, who is asked what, and that nobody learns which part was wrong."""

import asyncio
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from statistics import median

import jwt
import pytest

from service.access.access_tokens import AccessTokens
from service.access.signing_keys import SigningKeys, add_key
from service.domain.identity.login_errors import WrongCredentialsError
from service.domain.identity.permission import Role
from service.domain.tenant import DEFAULT_TENANT
from service.runtime.clock import SystemClock
from service.store.store import open_store
from tests.support.people import PASSWORD, V1, Client, add_person, all_seeing, logged_in
from tests.support.served import RunningService, logged, running_service, settings
from tests.support.tokens import parts_of, public_pem, rsa_key, signed_with_the_public_key, unsigned

NOBODY = {"email": "nobody@example.com", "password": PASSWORD}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with signing keys, and a database with people."""
    folder = tmp_path_factory.mktemp("log-in")
    add_key(folder / "jwt.json")

    async def people() -> None:
        async with open_store(f"sqlite:///{folder}/risk_alerts.db") as store:
            organization = await all_seeing(store).access.organizations.create(
                DEFAULT_TENANT, name="North", code="north", now=SystemClock().now()
            )
            await add_person(store, "root", Role.SUPER_ADMIN)
            await add_person(store, "ann", Role.TENANT_ADMIN)
            await add_person(store, "bob", Role.ORG_MEMBER, organization_id=organization.id)
            await add_person(store, "gone", Role.USER)

    asyncio.run(people())
    return folder


@pytest.fixture(scope="module")
def service(folder: Path) -> Iterator[RunningService]:
    """Return a service that asks everybody who they are, for the tests of this file to share."""
    given = settings(folder, jwt_keys_file=folder / "jwt.json", limit_failed_logins="1000/minute")
    with running_service(given) as running:
        yield running


@pytest.fixture
def nobody(service: RunningService) -> Client:
    """Return somebody without a token."""
    return Client(service.client)


def test_a_log_in_gives_a_pair_that_opens(service: RunningService) -> None:
    """The access token says who; whoever asks learns what they may do."""
    ann = logged_in(service, "ann")
    me = ann.data("GET", "/auth/me")
    assert (me["kind"], me["role"], me["tenant_id"]) == ("user", "tenant_admin", DEFAULT_TENANT)
    assert "users.write" in me["permissions"]
    assert "models.activate" not in me["permissions"]
    assert ann.ask("GET", "/runs").status_code == 200


def test_the_envelope_says_what_it_is(nobody: Client) -> None:
    """Time, version and request of each answer; the caller's own id of the request, too."""
    response = nobody.ask("POST", f"{V1}/auth/login", NOBODY, headers={"X-Request-Id": "mine"})
    answer = response.json()
    assert answer["error"] == {
        "code": "WRONG_CREDENTIALS",
        "message": "e-mail address and password are not those of an active account",
        "details": None,
    }
    assert answer["meta"]["request_id"] == response.headers["x-request-id"] == "mine"
    assert set(answer["meta"]) == {"timestamp", "version", "request_id"}
    assert answer["meta"]["timestamp"].endswith("Z")


@pytest.mark.parametrize(
    ("method", "path", "expected"),
    [
        ("GET", "/auth/login", (405, "METHOD_NOT_ALLOWED")),
        ("GET", "/nothing", (401, "UNAUTHENTICATED")),
        ("GET", "/users", (401, "UNAUTHENTICATED")),
        ("GET", "/auth/me", (401, "UNAUTHENTICATED")),
        ("POST", "/auth/logout", (401, "UNAUTHENTICATED")),
    ],
)
def test_errors_before_a_route_are_in_the_envelope_too(
    nobody: Client, method: str, path: str, expected: tuple[int, str]
) -> None:
    """Whatever refuses, whoever reads /api/v1 reads one shape."""
    assert nobody.refused(method, path) == expected


def test_a_body_that_is_wrong_is_named_by_its_field(nobody: Client) -> None:
    """VALIDATION_ERROR with the field and the reason, and without the value."""
    response = nobody.ask("POST", f"{V1}/auth/login", {"email": "canary", "password": "canary"})
    error = response.json()["error"]
    assert (response.status_code, error["code"]) == (422, "VALIDATION_ERROR")
    assert error["details"] == {"field": "body.email", "reason": "Value error, must be an e-mail address"}
    assert "canary" not in response.text


@pytest.mark.parametrize(
    "body",
    [
        NOBODY,
        {"email": "ann@example.com", "password": "wrong-horse-battery"},
        {"email": "gone@example.com", "password": PASSWORD},
        {"email": "ann@example.com'--", "password": PASSWORD},
    ],
)
def test_whatever_is_wrong_is_answered_alike(service: RunningService, nobody: Client, body: object) -> None:
    """No account, another password, or an account that was deactivated: the same status, code and words."""
    root = logged_in(service, "root")
    [gone] = [each for each in root.data("GET", "/users")["users"] if each["name"] == "gone"]
    root.data("DELETE", f"/users/{gone['id']}")
    response = nobody.ask("POST", f"{V1}/auth/login", body)
    assert (response.status_code, response.json()["error"]["code"]) == (401, "WRONG_CREDENTIALS")
    assert response.json()["error"]["message"] == WrongCredentialsError.example


def test_unknown_and_known_accounts_take_equal_time(nobody: Client) -> None:
    """Medians of log-ins in turns, so that the machine's other work meets both."""

    def seconds(email: str) -> float:
        began = time.perf_counter()
        assert nobody.refused("POST", "/auth/login", {"email": email, "password": "wrong-horse"})[0] == 401
        return time.perf_counter() - began

    pairs = [(seconds("ann@example.com"), seconds("nobody@example.com")) for _ in range(9)]
    known, unknown = (median(each) for each in zip(*pairs, strict=True))
    assert 0.5 < known / unknown < 2


def test_of_eight_refreshes_at_once_one_pair_lives(service: RunningService) -> None:
    """The others get 409 and no tokens; the pair goes on, and nobody is logged out."""
    bob = logged_in(service, "bob")
    with ThreadPoolExecutor(8) as pool:
        body = {"refresh_token": bob.refresh_token}
        answers = list(pool.map(lambda _: bob.ask("POST", f"{V1}/auth/refresh", body), range(8)))
    assert sorted(answer.status_code for answer in answers) == [200] + [409] * 7
    assert {a.json()["error"]["code"] for a in answers if a.status_code == 409} == {"REFRESH_RACED"}
    assert not [a for a in answers if a.status_code == 409 and "token" in a.json()]
    [won] = [answer.json()["data"] for answer in answers if answer.status_code == 200]
    assert Client(service.client, won["access_token"]).data("GET", "/auth/me")["role"] == "org_member"
    bob.data("POST", "/auth/refresh", {"refresh_token": won["refresh_token"]})


def test_a_log_out_bites_at_once(service: RunningService) -> None:
    """Also for the access token, which would have been good for fifteen minutes."""
    bob, elsewhere = logged_in(service, "bob"), logged_in(service, "bob")
    assert bob.data("POST", "/auth/logout", {"refresh_token": bob.refresh_token}) is None
    assert bob.refused("GET", "/auth/me") == (401, "UNAUTHENTICATED")
    assert bob.refused("POST", "/auth/refresh", {"refresh_token": bob.refresh_token})[0] == 401
    assert elsewhere.data("GET", "/auth/me")["kind"] == "user"


@pytest.mark.parametrize("token", ["", "rr_", "rr_" + "a" * 43, "x" * 200, "rr_\u00e9", "nonsense"])
def test_a_refresh_token_that_was_never_made_is_refused(nobody: Client, token: str) -> None:
    """In the words of every bad credential."""
    assert nobody.refused("POST", "/auth/refresh", {"refresh_token": token}) == (401, "UNAUTHENTICATED")


def test_a_lowered_role_bites_in_mid_session(service: RunningService) -> None:
    """The token is the same, its bearer may less at the next request; and nothing at all once deactivated."""
    root, bob = logged_in(service, "root"), logged_in(service, "bob")
    me = bob.data("GET", "/auth/me")
    assert bob.ask("GET", "/runs").status_code == 200
    root.data("POST", f"/users/{me['id']}/role", {"role": "user"})
    assert bob.ask("GET", "/runs").status_code == 403
    assert bob.data("GET", "/auth/me")["role"] == "user"
    root.data("POST", f"/users/{me['id']}/role", {"role": "org_member"})
    root.data("DELETE", f"/users/{me['id']}")
    assert bob.ask("GET", "/runs").status_code == 401
    root.data("POST", f"/users/{me['id']}/activate")
    assert bob.ask("GET", "/runs").status_code == 401, "the log-in has ended; another one is made"
    assert logged_in(service, "bob").ask("GET", "/runs").status_code == 200


def test_every_bad_token_is_answered_alike(service: RunningService, folder: Path, tmp_path: Path) -> None:
    """Forged, of another deployment, of a key that is none (any more), out of its time, garbage: one body."""
    bob = logged_in(service, "bob")
    assert bob.token is not None
    header, claims = parts_of(bob.token)
    clock = SystemClock()
    add_key(tmp_path / "other.json")
    elsewhere = AccessTokens(SigningKeys(tmp_path / "other.json", clock), "risk-alerts", clock)
    namesake = AccessTokens(SigningKeys(folder / "jwt.json", clock), "another-deployment", clock)
    key = SigningKeys(folder / "jwt.json", clock).signing()
    public = public_pem(key.private)
    now = int(clock.now().timestamp())

    def signed(kid: str = key.kid, **changed: object) -> str:
        more = {"kid": kid, "typ": header["typ"]}
        return jwt.encode(claims | changed, key.private, algorithm="RS256", headers=more)

    assert Client(service.client, signed()).ask("GET", "/runs").status_code == 200
    bad = [
        signed_with_the_public_key(header, claims, public),
        signed_with_the_public_key(header, claims, public_pem(rsa_key("any"))),
        unsigned(header, claims),
        elsewhere.issue(claims["sub"], claims["sid"]),
        namesake.issue(claims["sub"], claims["sid"]),
        signed(exp=now - 1, nbf=now - 60, iat=now - 60),
        signed(nbf=now + 300),
        signed(aud="another"),
        signed(kid="retired"),
        bob.token[:-8] + "AAAAAAAA",
        "nonsense",
        "a.b.c",
        "x" * 20_000,
    ]
    answers = [Client(service.client, token).ask("GET", "/runs") for token in bad]
    assert {(answer.status_code, answer.text) for answer in answers} == {(401, answers[0].text)}
    assert {answer.headers["www-authenticate"] for answer in answers} == {"Bearer"}
    wrapped = [Client(service.client, token).refused("GET", "/auth/me") for token in bad]
    assert set(wrapped) == {(401, "UNAUTHENTICATED")}


def test_failures_are_limited_and_the_answer_says_how_long(folder: Path) -> None:
    """429 with Retry-After for one account from one address; nobody else is held up."""
    given = settings(folder, jwt_keys_file=folder / "jwt.json", limit_failed_logins="3/hour")
    with running_service(given) as service:
        nobody = Client(service.client)
        for _ in range(3):
            assert nobody.refused("POST", "/auth/login", NOBODY)[0] == 401
        response = nobody.ask("POST", f"{V1}/auth/login", NOBODY)
        assert (response.status_code, response.json()["error"]["code"]) == (429, "TOO_MANY_REQUESTS")
        assert 3_500 < int(response.headers["retry-after"]) <= 3_600
        assert logged_in(service, "ann").data("GET", "/auth/me")
        assert service.client.get("/health").status_code == 200


def test_changes_are_limited_for_each_caller(folder: Path) -> None:
    """Reads never are; another caller is not held up by the one who asks too much."""
    given = settings(folder, jwt_keys_file=folder / "jwt.json", limit_changes="4/hour")
    with running_service(given) as service:
        ann, bob = logged_in(service, "ann"), logged_in(service, "bob")
        for _ in range(4):
            assert ann.ask("POST", "/runs/none/cancel").status_code == 404
        response = ann.ask("POST", "/runs/none/cancel")
        assert (response.status_code, response.json()["error"]) == (429, "too_many_requests")
        assert int(response.headers["retry-after"]) > 3_500
        for path in ("/runs", "/health", "/live"):
            assert ann.ask("GET", path).status_code == 200
        assert bob.ask("POST", "/runs/none/cancel").status_code == 403


def test_without_keys_log_in_is_refused_by_name(tmp_path: Path) -> None:
    """The answer says which command makes them."""
    with running_service(settings(tmp_path)) as service:
        nobody = Client(service.client)
        response = nobody.ask("POST", f"{V1}/auth/login", NOBODY)
        assert (response.status_code, response.json()["error"]["code"]) == (503, "LOGIN_NOT_CONFIGURED")
        assert "risk-alerts keys jwt" in response.json()["error"]["message"]
        assert nobody.data("GET", "/auth/me")["kind"] == "anonymous"


def test_no_password_and_no_token_is_ever_written_down(folder: Path) -> None:
    """Neither in the log nor in the database: of passwords and tokens only hashes."""
    given = settings(folder, jwt_keys_file=folder / "jwt.json", log_level="DEBUG")
    with logged() as lines, running_service(given) as service:
        bob = logged_in(service, "bob")
        nobody = Client(service.client)
        nobody.refused("POST", "/auth/login", {"email": "bob@example.com", "password": "canary-wrong-one"})
        bob.data("POST", "/auth/refresh", {"refresh_token": bob.refresh_token})
        bob.refused("POST", "/auth/refresh", {"refresh_token": bob.refresh_token})
        written = str(lines())
    stored = b"".join(path.read_bytes() for path in folder.glob("risk_alerts.db*")).decode("latin-1")
    for secret in (PASSWORD, "canary-wrong-one", bob.token, bob.refresh_token):
        assert secret is not None
        assert secret not in written
        assert secret not in stored
