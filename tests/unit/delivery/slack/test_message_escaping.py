"""Nothing from a data file can ping, format, reorder, break or overfill a message."""

import html
import re
from typing import Any

import orjson
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from mock_slack.blocks import why_invalid
from mock_slack.message import Message
from service.account_risk.account_at_risk import AccountAtRisk
from service.delivery.slack.message import HEADER_LIMIT, VALUE_LIMIT
from tests.support.alerts import an_alert, any_alert, any_text, rendered

BASE = "https://app.yourcompany.com/accounts"
CHANNELS = st.none() | st.just("emea-risk-alerts") | any_text(min_size=1)
BIDIRECTIONAL = re.compile("[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]")
LONG_NAME = "Indeed & Sons <!channel> " * 2622
"""64 k characters."""


def shown(payload: dict[str, Any]) -> list[str]:
    """Return every text of the blocks but the link."""
    header, facts, _ = payload["blocks"]
    return [header["text"]["text"], *(field["text"] for field in facts["fields"])]


@given(any_alert(), CHANNELS)
@example(an_alert(account_name=LONG_NAME, account_id="x" * 65_536, account_owner="&" * 65_536), "c")
@example(an_alert(account_name="&" * 65_536, account_id="<" * 61), None)
@example(an_alert(account_id="/" * 65_536), None)
def test_slack_takes_every_message(alert: AccountAtRisk, channel: str | None) -> None:
    """Whatever the source holds, the message keeps Slack's limits and rules."""
    payload = rendered(alert, details_base_url=BASE, named_channel=channel)
    assert why_invalid(payload["blocks"]) is None
    assert Message(orjson.dumps(payload)).refusal() is None
    assert len(payload["text"]) <= 4_000


@given(any_alert(), CHANNELS)
def test_nothing_from_data_is_markup(alert: AccountAtRisk, channel: str | None) -> None:
    """Outside the one link every `&`, `<` and `>` is escaped, and no escape is cut in half."""
    payload = rendered(alert, details_base_url=BASE, named_channel=channel)
    for text in (payload["text"], *shown(payload)):
        assert not re.search(r"[<>]|&(?!(?:amp|lt|gt);)", text)
    assert re.fullmatch(r"<https://[^<>\s|]+\|Account details>|[^<>&]+", payload["blocks"][2]["text"]["text"])


@given(any_alert(), CHANNELS)
def test_values_stand_in_plain_text(alert: AccountAtRisk, channel: str | None) -> None:
    """Every value from data is in a plain_text object, where `*` and `_` mean nothing."""
    header, facts, link = rendered(alert, details_base_url=BASE, named_channel=channel)["blocks"]
    assert {part["type"] for part in (header["text"], *facts["fields"])} == {"plain_text"}
    assert link["text"]["verbatim"] is True


@given(any_alert(), CHANNELS)
def test_every_value_stays_on_its_line(alert: AccountAtRisk, channel: str | None) -> None:
    """No value can add a line or reorder the text around it."""
    payload = rendered(alert, details_base_url=BASE, named_channel=channel)
    lines = payload["text"].splitlines()
    assert lines[:-1] == shown(payload)
    labels = [line.split(": ")[0] for line in lines[1:]]
    expected = ["Region", "At Risk for", "ARR", "Renewal date", "Owner", "Channel", "Details"]
    assert [label for label in expected if label in labels] == labels
    for line in lines:
        assert not BIDIRECTIONAL.search(line)
        assert not re.search(r"[\x00-\x1f\x7f-\x9f]", line)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("<!channel>", "&lt;!channel&gt;"),
        ("<@U012AB3CD> & <#C1|x>", "&lt;@U012AB3CD&gt; &amp; &lt;#C1|x&gt;"),
        ("&amp;", "&amp;amp;"),
        ("*Bold* _Moves_ ~Inc~ `x`", "*Bold* _Moves_ ~Inc~ `x`"),
        ("Line\nBreak\r\n\tGmbH", "Line Break GmbH"),
        ("a\u2028b\u2029c\x0bd\x85e", "a b c d e"),
        ("abc\u202edef\u200f", "abcdef"),
        ("שלום Trading", "שלום Trading"),
        ("NUL\x00name", "NUL name"),
        ("half \ud83d", "half ?"),
        ("  spaced   out  ", "spaced out"),
        ("{0} {} {x!r} %s", "{0} {} {x!r} %s"),
    ],
)
def test_shows_names_as_text(name: str, expected: str) -> None:
    """A name reads as it is, on one line, and is never obeyed: in the title, as region and as owner."""
    payload = rendered(
        an_alert(account_name=name, account_region=name, account_owner=name), details_base_url=BASE
    )
    title, *facts = shown(payload)
    assert title == f"🚩 At Risk: {expected} (a00636)"
    assert f"Region: {expected}" in facts
    assert f"Owner: {expected}" in facts


@pytest.mark.parametrize(
    ("long", "title"),
    [("account_name", r"🚩 At Risk: x+… \(a00636\)"), ("account_id", r"🚩 At Risk: Amber Analytics \(x+…\)")],
)
def test_a_long_name_or_id_leaves_the_other_readable(long: str, title: str) -> None:
    """One of 64 k characters is cut to what the header has room for, and the other stands there whole."""
    found = shown(rendered(an_alert(**{long: "x" * 65_536}), details_base_url=BASE))[0]
    assert re.fullmatch(title, found)
    assert len(found) == HEADER_LIMIT


@given(st.text("a&<", min_size=1, max_size=60), any_text())
def test_an_id_of_ordinary_length_is_never_cut(account_id: str, name: str) -> None:
    """What a person searches for stands whole in the title, however long the name."""
    title = shown(rendered(an_alert(account_id=account_id[:12], account_name=name), details_base_url=BASE))[0]
    assert title.endswith(f" ({html.escape(account_id[:12], quote=False)})")


@given(st.text("ab<&>", max_size=400))
def test_cuts_only_what_does_not_fit(owner: str) -> None:
    """A value is whole if it fits; else it is the longest beginning that does, and says that it was cut."""
    whole = html.escape(owner, quote=False)
    lines = shown(rendered(an_alert(account_owner=f"o{owner}"), details_base_url=BASE))
    value = next(line for line in lines if line.startswith("Owner: ")).removeprefix("Owner: o")
    if len(whole) < VALUE_LIMIT:
        assert value == whole
    else:
        assert whole.startswith(value.removesuffix("…"))
        assert value.endswith("…")
        assert VALUE_LIMIT - len("&amp;") <= len("o" + value) <= VALUE_LIMIT


def test_a_link_that_would_not_fit_is_left_out() -> None:
    """A 64 k-character id gives no link rather than a broken one, and the message says so in both forms."""
    payload = rendered(an_alert(account_id="é" * 65_536), details_base_url=BASE)
    assert payload["text"].endswith("Details: the account id is too long for a link")
    assert payload["blocks"][2]["text"]["text"] == "Details: the account id is too long for a link"
