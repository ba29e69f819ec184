"""Redaction: the last line of defence."""

import json

import pytest

from service.settings import Settings
from service.telemetry.redaction import Redactor

WEBHOOK = "https://hooks.slack.com/services/T00CANARY/B00CANARY/canarysecret"


@pytest.mark.parametrize(
    ("text", "left"),
    [
        (f"POST {WEBHOOK} failed", "POST https://hooks.slack.com/[redacted] failed"),
        (f"key ra_{'a' * 12}_{'b' * 49}!", f"key ra_{'a' * 12}_[redacted]!"),
        ("para_graph ra_b", "para_graph ra_b"),
        (f"refresh rr_{'a-_' * 14}a.", "refresh rr_[redacted]."),
        ("arr_threshold rr_short", "arr_threshold rr_short"),
        (f"token=eyJ{'a' * 20}.eyJ{'b' * 30}.{'c' * 40}&x", "token=[redacted]&x"),
        ("hash $argon2id$v=19$m=19456,t=2,p=1$c2FsdA$aGFzaA'", "hash [redacted]'"),
        (f'{{"url":"{WEBHOOK}"}}', '{"url":"https://hooks.slack.com/[redacted]"}'),
        ("https://hooks.slack-gov.com/services/T/B/x", "https://hooks.slack-gov.com/[redacted]"),
        ("postgresql://user:pa%40ss@db:5432/x", "postgresql://[redacted]@db:5432/x"),
        ("smtp://user@mail", "smtp://[redacted]@mail"),
        ("token xoxb-123456-abcdef.", "token [redacted]."),
        ("Authorization: Bearer abcdef123456", "Authorization: Bearer [redacted]"),
        ("authorization: bearer abcdef123456", "authorization: bearer [redacted]"),
        ("token xapp-1-A0-123456", "token [redacted]"),
        ("hooks.slack.com/services/T/B/x", "hooks.slack.com/[redacted]"),
    ],
)
def test_what_looks_like_a_secret_goes(text: str, left: str) -> None:
    """Webhooks, user names and passwords in URLs, tokens: known by their form alone."""
    assert Redactor()(text) == left


@pytest.mark.parametrize(
    "text",
    [
        "file:///data/a.parquet",
        "gs://bucket/path/file.parquet",
        "owner@example.com",
        "http://127.0.0.1:8000/runs",
        "the bearer of news",
    ],
)
def test_what_is_ordinary_stays(text: str) -> None:
    """A log that redacts everything tells nothing."""
    assert Redactor()(text) == text


def test_configured_secrets_go_in_every_spelling() -> None:
    """As they are, inside JSON, and decoded from a URL."""
    secret = 'pa"ss\\wörd%21'
    redact = Redactor([secret])
    for spelling in (secret, json.dumps(secret), json.dumps(secret, ensure_ascii=False), 'pa"ss\\wörd!'):
        assert "wörd" not in redact(spelling)
        assert "w\\u00f6rd" not in redact(spelling)


def test_settings_give_away_each_of_their_secrets() -> None:
    """Whole values, passwords inside URLs, and the path of a webhook, which clients name alone."""
    redact = Redactor(
        Settings(
            _env_file=None,
            slack_webhook_url="https://proxy.example.com/services/T1/B1/canarypath",
            slack_auth_token="canarytoken",
            smtp_url="smtp://user:canary%40smtp@mail:587",
            database_url="postgresql://user:canarydatabase@db/x",
        ).secrets()
    )
    text = "path=/services/T1/B1/canarypath t=canarytoken p=canary@smtp q=canary%40smtp d=canarydatabase"
    assert "canary" not in redact(text)


def test_a_short_secret_does_not_destroy_the_words() -> None:
    """GCS_TOKEN=anon is a setting, not a secret; `anonymous` must stay readable."""
    settings = Settings(_env_file=None, gcs_token="anon")
    assert Redactor(settings.secrets())("an anonymous reader") == "an anonymous reader"
