"""Block Kit: the rules that Slack checks on the blocks this project may send.

Limits and fields are those of Slack's Block Kit reference for messages. Lengths are counted in characters as
sent, so `&amp;` counts five. A block or element that is not modelled here is refused, and so is a field it
does not have.
"""

from collections.abc import Callable
from typing import Annotated, Any, Literal, Self, TypeVar

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    TypeAdapter,
    ValidationError,
    model_validator,
)

MAX_BLOCKS = 50


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


_Id = Annotated[str, Field(min_length=1, max_length=255)]
_Url = Annotated[str, Field(max_length=3000, pattern=r"^https?://[^\s/]")]


class _PlainText(_Part):
    type: Literal["plain_text"]
    text: str = Field(min_length=1, max_length=3000)
    emoji: bool = True


class _Mrkdwn(_Part):
    type: Literal["mrkdwn"]
    text: str = Field(min_length=1, max_length=3000)
    verbatim: bool = False


_Text = Annotated[_PlainText | _Mrkdwn, Field(discriminator="type")]
_AnyText = TypeVar("_AnyText", bound=_PlainText | _Mrkdwn)


def _at_most(limit: int) -> Callable[[_AnyText], _AnyText]:
    def check(value: _AnyText) -> _AnyText:
        if len(value.text) > limit:
            raise ValueError(f"text has {len(value.text)} characters, at most {limit} are allowed")
        return value

    return check


class _Confirm(_Part):
    title: Annotated[_PlainText, AfterValidator(_at_most(100))]
    text: Annotated[_PlainText, AfterValidator(_at_most(300))]
    confirm: Annotated[_PlainText, AfterValidator(_at_most(30))]
    deny: Annotated[_PlainText, AfterValidator(_at_most(30))]
    style: Literal["primary", "danger"] = "primary"


class _Button(_Part):
    type: Literal["button"]
    text: Annotated[_PlainText, AfterValidator(_at_most(75))]
    action_id: _Id | None = None
    url: _Url | None = None
    value: str = Field("", max_length=2000)
    style: Literal["primary", "danger"] | None = None
    confirm: _Confirm | None = None
    accessibility_label: str = Field("", max_length=75)


class _SlackFile(_Part):
    id: str | None = None
    url: _Url | None = None


class _Image(_Part):
    type: Literal["image"]
    alt_text: str = Field(min_length=1, max_length=2000)
    image_url: _Url | None = None
    slack_file: _SlackFile | None = None

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        if (self.image_url is None) == (self.slack_file is None):
            raise ValueError("an image has either image_url or slack_file")
        return self


class _Block(_Part):
    block_id: _Id | None = None


class _Header(_Block):
    type: Literal["header"]
    text: Annotated[_PlainText, AfterValidator(_at_most(150))]


class _Section(_Block):
    type: Literal["section"]
    text: _Text | None = None
    fields: list[Annotated[_Text, AfterValidator(_at_most(2000))]] | None = Field(
        None, min_length=1, max_length=10
    )
    accessory: Annotated[_Button | _Image, Field(discriminator="type")] | None = None
    expand: bool = False

    @model_validator(mode="after")
    def _says_something(self) -> Self:
        if self.text is None and self.fields is None:
            raise ValueError("a section has text or fields")
        return self


class _Context(_Block):
    type: Literal["context"]
    elements: list[Annotated[_Image | _PlainText | _Mrkdwn, Field(discriminator="type")]] = Field(
        min_length=1, max_length=10
    )


class _Actions(_Block):
    type: Literal["actions"]
    elements: list[_Button] = Field(min_length=1, max_length=25)

    @model_validator(mode="after")
    def _distinct_actions(self) -> Self:
        ids = [button.action_id for button in self.elements if button.action_id is not None]
        if len(ids) != len(set(ids)):
            raise ValueError("an action_id appears twice")
        return self


class _ImageBlock(_Image, _Block):
    title: Annotated[_PlainText, AfterValidator(_at_most(2000))] | None = None


class _Divider(_Block):
    type: Literal["divider"]


_AnyBlock = _Header | _Section | _Context | _Actions | _ImageBlock | _Divider
_BLOCKS: TypeAdapter[list[_AnyBlock]] = TypeAdapter(
    Annotated[
        list[Annotated[_AnyBlock, Field(discriminator="type")]],
        Field(max_length=MAX_BLOCKS),
    ]
)


def why_invalid(blocks: Any) -> str | None:
    """Return where and why Slack would refuse `blocks` (the payload's value), or None when they are valid."""
    try:
        parsed: list[_Header | _Section | _Context | _Actions | _ImageBlock | _Divider] = (
            _BLOCKS.validate_python(blocks)
        )
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
        where = "/".join(str(step) for step in ("blocks", *first["loc"]))
        return f"{where}: {first['msg'].removeprefix('Value error, ')}"
    ids = [block.block_id for block in parsed if block.block_id is not None]
    return "blocks: a block_id appears twice" if len(ids) != len(set(ids)) else None
