"""The people of the workspace, and who is none of them: what `users.info` knows."""

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, ConfigDict

from mock_slack.web_api.conversations import BOT_USER, TEAM


class Person(BaseModel):
    """What a test says of somebody; what it leaves out is as it was."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    email: str | None = None
    team_id: str | None = None
    deleted: bool | None = None
    is_bot: bool | None = None
    is_stranger: bool | None = None


def _user(user_id: str, name: str, *, team: str = TEAM, email: bool = True, **marks: bool) -> dict[str, Any]:
    profile = {"real_name": name.capitalize(), **({"email": f"{name}@example.com"} if email else {})}
    return {
        "id": user_id,
        "team_id": team,
        "name": name,
        "profile": profile,
        "deleted": False,
        "is_bot": False,
        "is_restricted": False,
        "is_stranger": False,
        **marks,
    }


# Ann and Bob work here; the others may not work on alerts, each for a reason of its own.
USERS = {
    user["id"]: user
    for user in (
        _user("U0ANN", "ann"),
        _user("U0BOB", "bob"),
        _user("U0GONE", "gone", deleted=True),
        _user("U0STRANGER", "stranger", is_stranger=True),
        _user("U0ELSEWHERE", "elsewhere", team="T0OTHER"),
        _user("U0NOMAIL", "nomail", email=False),
        _user(BOT_USER, "risk_alerts", email=False, is_bot=True),
    )
}


def people(changes: Mapping[str, Person]) -> dict[str, dict[str, Any]]:
    """Return everybody, by id, as a test has changed them, and whom it has added."""
    found = dict(USERS)
    for user_id, person in changes.items():
        user = found.get(user_id) or _user(user_id, user_id.lower(), email=False)
        said = person.model_dump(exclude_none=True)
        email = {"email": said.pop("email")} if "email" in said else {}
        found[user_id] = {**user, **said, "profile": {**user["profile"], **email}}
    return found
