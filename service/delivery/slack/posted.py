"""The answer to `chat.postMessage` and `chat.update`: what it says of the message.

Slack's words stand in docs.slack.dev/reference/methods/chat.postMessage and …/chat.update; those of
the token are the same for every method.
"""

from collections.abc import Mapping
from typing import Final

from service.delivery.slack.answer import error_of, read_answer
from service.delivery.slack.send_result import InDoubt, RateLimited, Rejected, Retry, SendResult, Sent
from service.domain.delivery_status import Reason

_AFTER_WORDS: Final[Mapping[Reason, str]] = {
    Reason.UNAUTHORIZED: "account_inactive invalid_auth not_authed token_expired token_revoked",
    Reason.FORBIDDEN: (
        "access_denied accesslimited as_user_not_supported cant_update_message edit_window_closed "
        "ekm_access_denied enterprise_is_restricted "
        "message_limit_exceeded missing_scope no_permission not_allowed_token_type not_in_channel "
        "org_login_required restricted_action restricted_action_non_threadable_channel "
        "restricted_action_read_only_channel restricted_action_thread_locked "
        "restricted_action_thread_only_channel team_access_not_granted two_factor_setup_required"
    ),
    Reason.NOT_FOUND: "channel_not_found message_not_found team_not_found",
    Reason.GONE: "is_archived is_inactive deprecated_endpoint method_deprecated",
    Reason.PAYLOAD_TOO_LARGE: "metadata_too_large msg_too_long msg_blocks_too_long too_many_attachments",
    Reason.BAD_REQUEST: (
        "invalid_arg_name invalid_arguments invalid_array_arg invalid_attachments invalid_blocks "
        "invalid_blocks_format invalid_charset invalid_form_data invalid_json invalid_metadata_format "
        "invalid_metadata_schema invalid_post_type json_not_object markdown_text_conflict missing_post_type "
        "no_text"
    ),
    Reason.REQUEST_TIMEOUT: "request_timeout",
}
REASONS: Final[Mapping[str, Reason]] = {
    word: reason for reason, words in _AFTER_WORDS.items() for word in words.split()
}
"""Slack's words that no retry would change; one that is not here is `rejected`."""
DOUBTFUL: Final = frozenset({"fatal_error", "internal_error"})
"""Slack failed on its side, and says that part of the work may have been done."""
PASSING: Final = frozenset(
    {"external_channel_migrating", "service_unavailable", "team_added_to_org", "update_failed"}
)
"""Nothing was done, and a while later it may be."""


def classify_posted(status: int, body: bytes, pause_s: float | None) -> SendResult:
    """Say what a 2xx means: a delivery only with `ok: true`, the channel and the timestamp.

    `pause_s` is how long Slack asks to wait, where it says so.
    """
    answer = read_answer(body)
    if answer is None:
        return InDoubt(reason=Reason.RESPONSE_LOST, message=f"HTTP {status}, but no JSON", unreadable=True)
    match answer:
        case {"ok": True, "channel": str(channel), "ts": str(ts)}:
            return Sent(http_status=status, channel=channel, ts=ts)
        case {"ok": False}:
            return _refused(status, error_of(answer), pause_s)
    return InDoubt(reason=Reason.RESPONSE_LOST, message="ok, but without channel and ts", unreadable=True)


def _refused(status: int, word: str | None, pause_s: float | None) -> SendResult:
    message = f"Slack said {word or 'no word that it has'}"
    if word in {"ratelimited", "rate_limited"}:
        if pause_s is not None:
            return RateLimited(retry_after_s=pause_s, http_status=status)
        return Retry(reason=Reason.RATE_LIMITED, message=message, http_status=status)
    if word in DOUBTFUL:
        return InDoubt(reason=Reason.RESPONSE_LOST, message=message)
    if word in PASSING:
        return Retry(reason=Reason.SERVER_ERROR, message=message, http_status=status)
    reason = REASONS.get(word or "", Reason.REJECTED)
    return Rejected(reason=reason, message=message, http_status=status)
