"""Slack's users: who pressed a button, where Slack vouches for them as the bot's own people."""

from dataclasses import dataclass

from service.delivery.slack.bot import Bot


class NotVouchedForError(Exception):
    """Slack does not vouch for this user as a person of the bot's own workspace; the text says so to them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SlackUser:
    """A person of the bot's workspace."""

    user_id: str
    email: str | None
    """In lower case; None where they have none, or the bot may not see it."""


async def vouched_user(bot: Bot, user_id: str, *, team_id: str) -> SlackUser:
    """Return who a user is, seen in the workspace `team_id`; raises NotVouchedForError and WebApiError."""
    own = (await bot.whoami()).get("team_id")
    if not isinstance(own, str) or team_id != own:
        raise NotVouchedForError("this is not the bot's own workspace")
    user = (await bot.api.call("users.info", user=user_id)).get("user")
    if not isinstance(user, dict) or user.get("id") != user_id:
        raise NotVouchedForError("Slack does not know you")
    if user.get("team_id") != own or user.get("is_stranger") is True:
        raise NotVouchedForError("you are of another workspace than the bot")
    # Slack marks both on everybody: what is not said is not taken for granted.
    if user.get("deleted") is not False or user.get("is_bot") is not False:
        raise NotVouchedForError("only people whose account in Slack is active may do this")
    match user.get("profile"):
        case {"email": str(email)} if email.strip():
            return SlackUser(user_id=user_id, email=email.strip().lower())
    return SlackUser(user_id=user_id, email=None)
