r"""The picture: a message of the mock's log as HTML in Slack's look, without anything of Slack's own.

`python -m mock_slack.picture ACCOUNT < mock_slack_requests.jsonl > slack-message.html` writes the page of the
first message about an account that was taken. docs/images/slack-message.png is a00038 of the sample data,
photographed where the fonts Lato and Noto Color Emoji are installed:

    chromium --headless --hide-scrollbars --force-device-scale-factor=2 --window-size=720,260 \
        --screenshot=docs/images/slack-message.png slack-message.html
"""

import html
import json
import re
import sys
from collections.abc import Iterable
from http import HTTPStatus
from typing import Any, Final

_PAGE: Final = """<!doctype html><meta charset="utf-8"><title>#{channel}</title><style>
body {{ margin: 0; width: 720px; font: 15px/1.47 Lato, "Noto Color Emoji", sans-serif; color: #1d1c1d;
  background: #fff }}
.channel {{ padding: 13px 20px; font-weight: 900; font-size: 18px; border-bottom: 1px solid #e3e3e3 }}
.message {{ display: grid; grid-template-columns: 36px 1fr; gap: 8px; padding: 16px 20px 20px }}
.app {{ width: 36px; height: 36px; border-radius: 6px; background: #b3261e; color: #fff;
  font: 900 15px/36px Lato; text-align: center }}
.by b {{ font-weight: 900 }}
.by i {{ font: 700 10px/1 Lato; color: #616061; background: #ececec; border-radius: 2px; padding: 2px 3px;
  margin: 0 5px 0 4px; vertical-align: 1px }}
.by time {{ font-size: 12px; color: #616061 }}
h3 {{ font-size: 18px; font-weight: 900; margin: 4px 0 8px }}
.fields {{ display: grid; grid-template-columns: 1fr 1fr; gap: 8px 16px; margin-bottom: 8px }}
a {{ color: #1264a3; text-decoration: none }}
</style><div class="channel"># {channel}</div><div class="message"><div class="app">RA</div><div>
<div class="by"><b>Risk alerts</b> <i>APP</i><time>{time}</time></div>{blocks}</div></div>"""


def page(records: Iterable[dict[str, Any]], account_id: str) -> str:
    """Return the page of the first accepted message about an account; raises StopIteration without one."""
    record = next(
        each
        for each in records
        if each["status_code"] == HTTPStatus.OK and f"({account_id})" in each["payload"]["text"]
    )
    blocks = "".join(_block(each) for each in record["payload"]["blocks"])
    return _PAGE.format(channel=html.escape(record["channel"]), time="9:00 AM", blocks=blocks)


def _block(block: dict[str, Any]) -> str:
    """Return a header, or a section with fields or with text."""
    if block["type"] == "header":
        return f"<h3>{_text(block['text'])}</h3>"
    if "fields" in block:
        fields = "".join(f"<div>{_text(field)}</div>" for field in block["fields"])
        return f'<div class="fields">{fields}</div>'
    return f"<div>{_text(block['text'])}</div>"


def _text(text: dict[str, Any]) -> str:
    """Return a text object: both kinds have `&`, `<` and `>` escaped, and mrkdwn has links `<url|label>`."""
    escaped = html.escape(html.unescape(text["text"]))
    if text["type"] == "plain_text":
        return escaped
    return re.sub(r"&lt;(.+?)\|(.+?)&gt;", r'<a href="\1">\2</a>', escaped)


if __name__ == "__main__":
    sys.stdout.write(page(map(json.loads, sys.stdin), sys.argv[1]))
