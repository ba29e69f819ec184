"""Block Kit's rules, each limit from both sides."""

from typing import Any

import pytest

from mock_slack.blocks import why_invalid

Block = dict[str, Any]


def _plain(length: int = 1) -> Block:
    return {"type": "plain_text", "text": "x" * length, "emoji": True}


def _mrkdwn(length: int = 1) -> Block:
    return {"type": "mrkdwn", "text": "x" * length, "verbatim": True}


def _button(**fields: Any) -> Block:
    return {"type": "button", "text": _plain()} | fields


def _image(**fields: Any) -> Block:
    return {"type": "image", "image_url": "https://example.com/i.png", "alt_text": "x"} | fields


def _header(length: int) -> Block:
    return {"type": "header", "text": _plain(length)}


def _section(**fields: Any) -> Block:
    return {"type": "section"} | fields


def _context(count: int) -> Block:
    return {"type": "context", "elements": [_mrkdwn()] * count}


def _actions(*buttons: Block) -> Block:
    return {"type": "actions", "elements": list(buttons)}


def _url(length: int) -> str:
    return "https://example.com/".ljust(length, "x")


@pytest.mark.parametrize(
    "blocks",
    [
        [],
        [{"type": "divider"}] * 50,
        [{"type": "divider", "block_id": "x" * 255}],
        [_header(150)],
        [_section(text=_mrkdwn(3000)), _section(text=_plain())],
        [_section(fields=[_mrkdwn(2000)] * 10)],
        [_section(text=_mrkdwn(), accessory=_button()), _section(text=_mrkdwn(), accessory=_image())],
        [_context(10)],
        [{"type": "context", "elements": [_image(), _plain()]}],
        [_actions(*[_button()] * 25)],
        [_actions(_button(text=_plain(75), url=_url(3000), value="x" * 2000, style="danger"))],
        [_actions(_button(action_id="a"), _button(action_id="b"))],
        [_image(title=_plain(2000), alt_text="x" * 2000)],
    ],
)
def test_blocks_within_the_limits_are_valid(blocks: list[Block]) -> None:
    """What Slack documents as allowed passes, up to the last character."""
    assert why_invalid(blocks) is None


@pytest.mark.parametrize(
    ("blocks", "where"),
    [
        ([{"type": "divider"}] * 51, "blocks: "),
        (["divider"], "blocks/0: "),
        ([{}], "blocks/0: "),
        ([{"type": "marquee"}], "blocks/0: "),
        ([{"type": "divider", "text": "x"}], "blocks/0/divider/text: "),
        ([{"type": "divider", "block_id": "x" * 256}], "blocks/0/divider/block_id: "),
        ([{"type": "divider", "block_id": "a"}] * 2, "blocks: a block_id appears twice"),
        ([_header(151)], "blocks/0/header/text: text has 151 characters, at most 150"),
        ([_header(0)], "blocks/0/header/text/text: "),
        ([{"type": "header", "text": _mrkdwn()}], "blocks/0/header/text/type: "),
        ([{"type": "header", "text": "x"}], "blocks/0/header/text: "),
        ([{"type": "header"}], "blocks/0/header/text: "),
        ([_section()], "blocks/0/section: "),
        ([{"type": "divider"}, _section(text=_mrkdwn(3001))], "blocks/1/section/text/mrkdwn/text: "),
        ([_section(text=_mrkdwn(0))], "blocks/0/section/text/mrkdwn/text: "),
        ([_section(text=_mrkdwn() | {"emoji": True})], "blocks/0/section/text/mrkdwn/emoji: "),
        ([_section(text={"type": "mrkdwn", "text": 5})], "blocks/0/section/text/mrkdwn/text: "),
        ([_section(fields=[])], "blocks/0/section/fields: "),
        ([_section(fields=[_mrkdwn()] * 11)], "blocks/0/section/fields: "),
        ([_section(fields=[_mrkdwn(2001)])], "blocks/0/section/fields/0: text has 2001 characters"),
        ([_section(text=_mrkdwn(), accessory={"type": "knob"})], "blocks/0/section/accessory: "),
        ([_context(0)], "blocks/0/context/elements: "),
        ([_context(11)], "blocks/0/context/elements: "),
        ([{"type": "context", "elements": [_button()]}], "blocks/0/context/elements/0: "),
        ([_actions()], "blocks/0/actions/elements: "),
        ([_actions(*[_button()] * 26)], "blocks/0/actions/elements: "),
        ([_actions(_button(action_id="a"), _button(action_id="a"))], "blocks/0/actions: "),
        ([_actions(_button(text=_plain(76)))], "blocks/0/actions/elements/0/text: text has 76"),
        ([_actions(_button(url=_url(3001)))], "blocks/0/actions/elements/0/url: "),
        ([_actions(_button(url="accounts/1"))], "blocks/0/actions/elements/0/url: "),
        ([_actions(_button(style="loud"))], "blocks/0/actions/elements/0/style: "),
        ([_image(alt_text="")], "blocks/0/image/alt_text: "),
        ([{"type": "image", "alt_text": "x"}], "blocks/0/image: "),
    ],
)
def test_blocks_beyond_the_limits_are_refused_with_their_place(blocks: list[Block], where: str) -> None:
    """One character or one element too many is refused, and the reason leads to it."""
    reason = why_invalid(blocks)
    assert reason is not None
    assert reason.startswith(where)
