"""The people of the workspace, and who is none of them: what `users.info` knows."""

from typing import Any

from mock_slack.web_api.conversations import BOT_USER, TEAM


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
