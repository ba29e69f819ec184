"""Settings come from the environment, are refused when they are wrong, and never show a secret."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Final

import pytest
from pydantic import ValidationError

from service.account_risk.severity import SEVERITY_RULES, SeverityRule
from service.domain.delivery_status import AmbiguousSends
from service.domain.lifecycle.alert_status import Severity
from service.domain.tenant import DEFAULT_TENANT
from service.settings import Settings
from service.settings.problems import InvalidSettingsError
from service.settings.reading import read_settings

Load = Callable[..., Settings]
ROOT: Final = Path(__file__).parents[3]

SECRETS: Final = {
    "SLACK_WEBHOOK_BASE_URL": "https://hooks.example.com/services/c4nary-base",
    "SLACK_WEBHOOK_URL": "https://hooks.example.com/services/c4nary-single",
    "SLACK_WEBHOOKS": '{"amer-risk-alerts": "https://hooks.example.com/services/c4nary-channel"}',
    "SLACK_AUTH_TOKEN": "c4nary-token",
    "SLACK_BOT_TOKEN": "xoxb-c4nary-bot",
    "MARKER_KEY": "c4nary-key-of-markers",
    "SLACK_SIGNING_SECRET": "c4nary-signing-secret",
    "SMTP_URL": "smtp://user:c4nary-password@mail.example.com",
    "GCS_TOKEN": "c4nary-gcs",
    "DATABASE_URL": "postgresql://user:c4nary-password@db.example.com/alerts",
    "INTERNAL_SERVICE_KEY": "c4nary-of-services",
}
REGIONS: Final = {"AMER": "amer-risk-alerts", "EMEA": "emea-risk-alerts", "APAC": "apac-risk-alerts"}


@pytest.fixture(name="load")
def load_from_an_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Load:
    """Return a function that reads the settings from exactly the variables given."""
    monkeypatch.chdir(tmp_path)

    def load(**environment: str) -> Settings:
        for name in Settings.model_fields:
            monkeypatch.delenv(name.upper(), raising=False)
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        return read_settings()

    return load


@pytest.mark.parametrize("name", Settings.model_fields)
def test_an_empty_string_is_unset(load: Load, name: str) -> None:
    """A variable that is there but empty, as deployment tools leave them, leaves the documented default."""
    assert getattr(load(**{name.upper(): ""}), name) == Settings.model_fields[name].default


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("SLACK_MESSAGES_PER_SECOND", "0", 0.0),
        ("SLACK_MESSAGES_PER_SECOND", "0.5", 0.5),
        ("SLACK_MAX_RETRIES", "0", 0),
        ("ARR_THRESHOLD", "-5", -5),
        ("ARR_THRESHOLD", "99999999999999999999", 99999999999999999999),
        ("ALERT_ON_UNKNOWN_ARR", "true", True),
        ("AMBIGUOUS_SENDS", "resend", AmbiguousSends.RESEND),
        ("ALLOWED_SOURCES", '["gs://bucket/", "file:///d"]', ("gs://bucket/", "file:///d")),
        ("ALLOWED_SOURCES", "[]", ()),
        ("ALLOWED_SOURCES", "gs://bucket/a, s3://other/b c ,", ("gs://bucket/a", "s3://other/b c")),
        ("ALLOWED_SOURCES", "gs://", ("gs://",)),
        ("ALLOWED_HOSTS", "a.example, *.b.example", ("a.example", "*.b.example")),
        ("LOG_LEVEL", "debug", "DEBUG"),
        ("LOG_FORMAT", "JSON", "json"),
        ("AMBIGUOUS_SENDS", "Hold", AmbiguousSends.HOLD),
        ("GOOGLE_CLOUD_PROJECT", "p", "p"),
        ("K_SERVICE", "risk-alerts", "risk-alerts"),
        ("CLOUD_RUN_JOB", "job", "job"),
        ("S3_ANON", "1", True),
        ("SCAN_THREADS", "2", 2),
    ],
)
def test_values_are_read(load: Load, name: str, text: str, value: object) -> None:
    """What stands in the environment is what is handed down."""
    assert getattr(load(**{name: text}), name.lower()) == value


def test_unknown_variables_do_no_harm(load: Load) -> None:
    """The environment holds much that is not ours."""
    assert load(PATH="/bin", SLACK_SOMETHING="x") == load()


def test_a_file_called_env_is_read(load: Load, tmp_path: Path) -> None:
    """A .env in the working directory sets what the environment does not."""
    (tmp_path / ".env").write_text("ARR_THRESHOLD=5\nLEASE_S=60\n", encoding="utf-8")
    settings = load(LEASE_S="40")
    assert (settings.arr_threshold, settings.lease_s) == (5, 40)


# Slack's addresses


@pytest.mark.parametrize("name", ["SLACK_WEBHOOK_BASE_URL", "SLACK_WEBHOOK_URL"])
@pytest.mark.parametrize("ending", ["", "/", "//", "\n", "/\n", " "])
def test_a_trailing_slash_or_newline_is_harmless(load: Load, name: str, ending: str) -> None:
    """However the URL was pasted or stored, it is the same URL."""
    secret = getattr(load(**{name: f"https://h.example.com/s/T0{ending}"}), name.lower())
    assert secret.get_secret_value() == "https://h.example.com/s/T0"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("SLACK_AUTH_TOKEN", "t0ken"),
        ("INTERNAL_SERVICE_KEY", "0123456789abcdef"),
        ("DATABASE_URL", "sqlite:///x.db"),
        ("GCS_TOKEN", "anon"),
        ("GCS_ENDPOINT_URL", "http://127.0.0.1:9023"),
        ("S3_ENDPOINT_URL", "http://127.0.0.1:9000"),
        ("DETAILS_BASE_URL", "https://app.example.com/accounts"),
        ("EVALUATE_ON", "tcp://scheduler:8786"),
        ("SUPPORT_EMAIL", "a@b.example.com"),
        ("GOOGLE_CLOUD_PROJECT", "project-1"),
    ],
)
def test_what_becomes_a_header_or_a_url_is_one_clean_line(load: Load, name: str, value: str) -> None:
    """Space and line breaks around it are dropped; inside it they are refused by the setting's name."""
    loaded = getattr(load(**{name: f" {value}\r\n"}), name.lower())
    assert getattr(loaded, "get_secret_value", lambda: loaded)() == value
    for inside in ("\nX-Evil: c4nary", "\x7fc4nary", "\x1bc4nary"):
        with pytest.raises(InvalidSettingsError, match=name) as error:
            load(**{name: f"{value}{inside}"})
        assert "c4nary" not in f"{error.value} {error.value!r}"


@pytest.mark.parametrize("value", ["0123456789abcde", "x" * 513, "0123456789abcde\u00f6"])
def test_a_service_key_is_long_enough_and_no_longer(load: Load, value: str) -> None:
    """Whoever guesses it may create alerts."""
    with pytest.raises(InvalidSettingsError, match="INTERNAL_SERVICE_KEY: must be 16 to 512") as error:
        load(INTERNAL_SERVICE_KEY=value)
    assert value not in f"{error.value} {error.value!r}"


@pytest.mark.parametrize("end", ["?c4nary=1", "#c4nary"])
def test_a_base_to_which_no_channel_can_be_appended_is_refused(load: Load, end: str) -> None:
    """Behind a `?` or `#` the channel would be lost, and one webhook would get the alerts of all regions."""
    with pytest.raises(InvalidSettingsError, match="without") as error:
        load(SLACK_WEBHOOK_BASE_URL=f"https://h.example.com/hook{end}")
    assert "c4nary" not in f"{error.value} {error.value!r}"
    assert load(SLACK_WEBHOOK_URL=f"https://h.example.com/hook{end}").slack_webhook_url is not None


HOOKS: Final = {
    channel: f"https://hooks.example.com/services/c4nary-{channel}" for channel in REGIONS.values()
}


def test_each_channel_has_its_webhook_from_json_or_a_file(load: Load, tmp_path: Path) -> None:
    """`SLACK_WEBHOOKS` and the file hold the same form; a leading # of a channel is not part of its name."""
    (tmp_path / "hooks.json").write_text(json.dumps({f"#{name}": url for name, url in HOOKS.items()}))
    assert load(SLACK_WEBHOOKS=json.dumps(HOOKS)).webhooks_by_channel() == HOOKS
    assert load(SLACK_WEBHOOKS_FILE="hooks.json").webhooks_by_channel() == HOOKS


def test_a_channel_without_a_webhook_is_refused_by_name(load: Load) -> None:
    """A region whose alerts could not go anywhere is found at the start; with a base URL none is needed."""
    some = json.dumps({"emea-risk-alerts": HOOKS["emea-risk-alerts"]})
    with pytest.raises(InvalidSettingsError, match="amer-risk-alerts, apac-risk-alerts") as error:
        load(SLACK_WEBHOOKS=some, SLACK_WEBHOOK_URL="https://h.example.com/one")
    assert "c4nary" not in f"{error.value} {error.value!r}"
    load(SLACK_WEBHOOKS=some, SLACK_WEBHOOK_BASE_URL="https://h.example.com")


def test_a_bot_without_a_key_for_its_markers_is_refused_by_name(load: Load) -> None:
    """It could not tell its own messages in a channel from those of others."""
    with pytest.raises(InvalidSettingsError, match="MARKER_KEY: must be set where SLACK_BOT_TOKEN is"):
        load(SLACK_BOT_TOKEN="xoxb-1")
    assert load(SLACK_BOT_TOKEN="xoxe.xoxb-1", MARKER_KEY="k" * 16).slack_bot_token is not None


def test_a_signing_secret_without_a_bot_is_refused_by_name(load: Load) -> None:
    """Nothing would have buttons, and nobody would notice; what is too short is none of Slack's."""
    with pytest.raises(InvalidSettingsError, match="SLACK_SIGNING_SECRET: is of no use without SLACK_BOT"):
        load(SLACK_SIGNING_SECRET="s" * 32)
    bot = {"SLACK_BOT_TOKEN": "xoxb-1", "MARKER_KEY": "k" * 16}
    with pytest.raises(InvalidSettingsError, match="SLACK_SIGNING_SECRET: must be the signing secret that"):
        load(**bot, SLACK_SIGNING_SECRET="short")
    assert load(**bot, SLACK_SIGNING_SECRET=f" {'s' * 32}\n").slack_signing_secret is not None


@pytest.mark.parametrize("host", ["*", "Risk-Alerts", "*.run.app", " a.example ", "[::1]", "10.0.0.7"])
def test_an_allowed_host_is_a_name(load: Load, host: str) -> None:
    """As a Host header has it, in whatever case; a star stands for all names, or for all that end so."""
    assert load(ALLOWED_HOSTS=json.dumps([host])).allowed_hosts == (host.strip().lower(),)


def test_a_tenant_is_a_uuid_however_it_is_written(load: Load) -> None:
    """It is stored in one spelling, so that one tenant's rows are never two tenants'."""
    assert load(TENANT_ID="{7A1C0A4E5F0E4D539D6B3C1F2E8B9A60}").tenant_id == DEFAULT_TENANT


@pytest.mark.parametrize("value", ["a@localhost", "Risk alerts <a@b.example.com>", "a@b.com, c@d.com"])
def test_mail_addresses_are_taken_as_the_mail_library_has_them(load: Load, value: str) -> None:
    """One or several, with or without a name."""
    assert load(SUPPORT_EMAIL=value).support_email == value
    with pytest.raises(InvalidSettingsError, match="must be an e-mail address"):
        load(SUPPORT_EMAIL=f"<{value}")


@pytest.mark.parametrize(
    "url",
    [
        "smtp://mail.example.com",
        "smtps://mail.example.com:465",
        "smtp://user:p%40ss@mail.example.com:587/",
        "smtp://al%20ice:pw@[::1]:25\n",
    ],
)
def test_a_mail_server_is_an_smtp_url(load: Load, url: str) -> None:
    """With or without TLS from the start, user and port."""
    secret = load(SMTP_URL=url).smtp_url
    assert secret is not None
    assert secret.get_secret_value() == url.strip().rstrip("/")


# Severities


def test_the_severity_of_accounts_can_be_set(load: Load) -> None:
    """SEVERITY_RULES replaces the rules; what is set as docs/rules.md has them is what holds without it."""
    assert load().severities() == SEVERITY_RULES
    page = (ROOT / "docs" / "rules.md").read_text(encoding="utf-8")
    text = " ".join(page.partition("SEVERITY_RULES='")[2].partition("'")[0].split())
    assert load(SEVERITY_RULES=text).severities() == SEVERITY_RULES
    low = SeverityRule(severity=Severity.LOW)
    assert load(SEVERITY_RULES='[{"severity": "low"}]').severities() == (low,)


@pytest.mark.parametrize(
    "text", ["{", '[{"severity": "c4nary"}]', '[{"min_arr": 1}]', '[{"severity": "low", "x": 1}]']
)
def test_rules_of_severity_that_are_none_are_refused(load: Load, text: str) -> None:
    """A word or a condition that is not known is an error that names the setting, and not the value."""
    with pytest.raises(InvalidSettingsError, match="SEVERITY_RULES") as error:
        load(SEVERITY_RULES=text)
    assert "c4nary" not in str(error.value)


# Channels by region


def test_three_regions_are_known_by_default(load: Load) -> None:
    """Without a map AMER, EMEA and APAC have their channels."""
    assert load().channels_by_region() == REGIONS


def test_the_map_stands_in_the_environment(load: Load) -> None:
    """REGION_CHANNELS replaces the default map whole; a leading # of a channel is harmless."""
    settings = load(REGION_CHANNELS='{"North": "#north", "South": " south "}')
    assert settings.channels_by_region() == {"North": "north", "South": "south"}


def test_the_map_stands_in_a_file(load: Load, tmp_path: Path) -> None:
    """CONFIG_FILE gives the map where the environment has none."""
    file = tmp_path / "config.json"
    file.write_text(json.dumps({"regions": {"AMER": "#one", "Zürich": "two"}}), encoding="utf-8")
    assert load(CONFIG_FILE=str(file)).channels_by_region() == {"AMER": "one", "Zürich": "two"}


def test_the_environment_wins_over_the_file(load: Load, tmp_path: Path) -> None:
    """With both set REGION_CHANNELS counts."""
    file = tmp_path / "config.json"
    file.write_text('{"regions": {"AMER": "from-file"}}', encoding="utf-8")
    settings = load(CONFIG_FILE=str(file), REGION_CHANNELS='{"AMER": "from-environment"}')
    assert settings.channels_by_region() == {"AMER": "from-environment"}


def test_an_empty_map_is_empty(load: Load, tmp_path: Path) -> None:
    """A map that is empty on purpose does not fall back to the default: runs are refused then."""
    file = tmp_path / "config.json"
    file.write_text('{"regions": {}}', encoding="utf-8")
    assert load(REGION_CHANNELS="{}").channels_by_region() == {}
    assert load(CONFIG_FILE=str(file)).channels_by_region() == {}


@pytest.mark.parametrize("name", ["CONFIG_FILE", "SLACK_WEBHOOKS_FILE"])
@pytest.mark.parametrize(
    "content",
    [
        *(None, b"", b"{", b"[]", b"c4nary", b"\xff\xfe", b'{"a": 1}', b'{"amer": "ftp://c4nary"}'),
        *(b'{"regions": []}', b'{"regions": {"AMER": "a b"}}', b'{"region": {"AMER": "c4nary"}}'),
        *(b'{"regions": {}, "extra": 1}', b'{"regions": null}', b'{"a b": "https://h/c4nary"}'),
    ],
)
def test_a_file_of_another_form_is_refused(
    load: Load, tmp_path: Path, name: str, content: bytes | None
) -> None:
    """Missing, a folder, or with a typing error: at the start, not in the first run at night."""
    if content is not None:
        (tmp_path / "given.json").write_bytes(content)
    for file in ("given.json", "."):
        with pytest.raises(InvalidSettingsError, match=f"{name}: {re.escape(file)}") as error:
            load(**{name: file})
        assert "c4nary" not in f"{error.value} {error.value!r}"


# What is refused

NO_URLS: Final = (
    *("hooks.example.com/c4nary", "ftp://h/c4nary", "https://", "http:///c4nary", "https://h/c4 nary", "-"),
    *("https://[c4nary/", "https://h:c4nary/", "https://h:99999/c4nary", "https://:80/c4nary"),
    *("https://c4nary@/", "javascript:alert(1)"),
)
NO_CHANNELS: Final = ("", " ", "#", "a b", "a/b", "a?b", "a#b", "##a", "..", ".", "#..", "x" * 81, "a\nb")
NO_HOSTS: Final = ("", "http://a", "a:80", "a/b", "a.*", "*a", "a b", "**", "[::1")


@pytest.mark.parametrize(
    ("name", "text"),
    [
        *(("SLACK_MESSAGES_PER_SECOND", text) for text in ("-1", "nan", "inf", "10001", "c4nary")),
        *(("SLACK_CONCURRENCY", text) for text in ("0", "257", "1.5", "c4nary")),
        *(("SLACK_TIMEOUT_S", text) for text in ("0", "-1", "nan", "301")),
        *(("SLACK_MAX_RETRIES", text) for text in ("-1", "11", "c4nary")),
        *(("DELIVERY_DEADLINE_S", text) for text in ("0", "-1", "nan", "inf")),
        *(("LEASE_S", text) for text in ("0", "nan", "inf", "1e300")),
        *(("HISTORY_MONTHS", text) for text in ("0", "-1", "120001")),
        *(("STORAGE_TIMEOUT_S", text) for text in ("0", "nan", "inf")),
        ("ARR_THRESHOLD", "10,000"),
        ("ARR_THRESHOLD", "1.5"),
        ("ALERT_ON_UNKNOWN_ARR", "c4nary"),
        ("AMBIGUOUS_SENDS", "c4nary"),
        ("ALLOWED_SOURCES", "/c4nary"),
        ("ALLOWED_SOURCES", "gs://b/c4nary, c4nary"),
        ("ALLOWED_SOURCES", " , "),
        ("ALLOWED_SOURCES", "[" * 100_000),
        ("ALLOWED_SOURCES", "{}"),
        ("ALLOWED_SOURCES", '["gs://b/*.parquet"]'),
        ("EVALUATE_ON", "c4nary:8786"),
        ("SCAN_THREADS", "0"),
        ("MEMORY_LIMIT_MB", "0"),
        ("LOG_LEVEL", "c4nary"),
        ("SMTP_URL", "smtp://c4nary:99999"),
        *(("DATABASE_URL", text) for text in ("c4nary", "mysql://u:c4nary@h/x", "sqlite:c4nary.db")),
        ("LOG_FORMAT", "c4nary"),
        ("TENANT_ID", "acme"),
        ("DATABASE_URL", "postgresql://u:c4[nary@h/x"),
        *(("SLACK_AUTH_TOKEN", text) for text in ("t\u00f6ken", "tok\u20acn", "\n", " ")),
        *((name, url) for name in ("SLACK_WEBHOOK_BASE_URL", "SLACK_WEBHOOK_URL") for url in NO_URLS),
        *(
            (f"{name}_URL", url)
            for name in ("DETAILS_BASE", "GCS_ENDPOINT", "S3_ENDPOINT")
            for url in NO_URLS
        ),
        *(("SMTP_URL", url) for url in ("c4nary", "smtp://", "smtp://:25", "http://c4nary", "smtp://u:c4@")),
        ("SMTP_URL", "smtp://h:c4"),
        *(
            (name, text)
            for name in ("SUPPORT_EMAIL", "SUPPORT_EMAIL_FROM")
            for text in ("nobody", "not an address", "a@", "@b", "a@b\nBcc: c@d", "a@b, c", "<a@b")
        ),
        *(("ALLOWED_HOSTS", json.dumps([host])) for host in NO_HOSTS),
        *(("REGION_CHANNELS", json.dumps({"AMER": channel})) for channel in NO_CHANNELS),
        *(("REGION_CHANNELS", text) for text in ("{", "[]", '["AMER"]', '{"AMER": 1}', '{"AMER": null}')),
        *(("REGION_CHANNELS", text) for text in ("AMER=x", "true")),
    ],
)
def test_a_wrong_value_is_refused_by_name(load: Load, name: str, text: str) -> None:
    """The error names the setting and never repeats the value, which may be a secret in the wrong place."""
    with pytest.raises(InvalidSettingsError, match=name) as error:
        load(**{name: text})
    assert "c4" not in f"{error.value} {error.value!r}"


@pytest.mark.parametrize(("lease", "timeout"), [("11", "10"), ("30", "29"), ("30", "300"), ("1", "0.5")])
def test_a_lease_must_outlive_a_post(load: Load, lease: str, timeout: str) -> None:
    """A POST that could still be on its way when the lease has expired would be a duplicate in the making."""
    with pytest.raises(InvalidSettingsError, match="LEASE_S"):
        load(LEASE_S=lease, SLACK_TIMEOUT_S=timeout)


@pytest.mark.parametrize(("lease", "timeout"), [("12", "10"), ("30", "28"), ("2.5", "0.5")])
def test_a_lease_may_be_just_long_enough(load: Load, lease: str, timeout: str) -> None:
    """Two seconds more than a POST may take are enough."""
    assert load(LEASE_S=lease, SLACK_TIMEOUT_S=timeout).lease_s == float(lease)


def test_settings_do_not_change(load: Load) -> None:
    """They are read once, in a door."""
    with pytest.raises(ValidationError, match="frozen"):
        load().arr_threshold = 1  # type: ignore[misc]


# Secrets


def test_secrets_do_not_print(load: Load) -> None:
    """No way of showing settings shows a secret."""
    settings = load(**SECRETS)
    shown = [
        repr(settings),
        str(settings),
        f"{settings}",
        settings.model_dump_json(),
        repr(settings.model_dump()),
        repr(settings.slack_webhook_url),
        repr(settings.__dict__),
    ]
    assert not [text for text in shown if "c4nary" in text]
    assert settings.slack_auth_token is not None
    assert settings.slack_auth_token.get_secret_value() == "c4nary-token"


def test_secrets_do_not_print_in_errors(load: Load) -> None:
    """When one setting is wrong, the error about it shows none of the others."""
    with pytest.raises(InvalidSettingsError) as error:
        load(**SECRETS, LEASE_S="1")
    assert "c4nary" not in f"{error.value} {error.value!r}"


def test_every_url_with_credentials_is_a_secret() -> None:
    """A setting that can hold a password or a token is typed so that it cannot print."""
    typed = {name for name, field in Settings.model_fields.items() if "Secret" in repr(field.annotation)}
    assert typed == {name.lower() for name in SECRETS}
