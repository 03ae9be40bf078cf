"""Refusals that another model may not share: a prompt that is too long, a policy on content."""

import re
from typing import Final, Literal

from gateway.core import wire
from gateway.core.errors import GatewayError, UpstreamAnswered

Refusal = Literal["context_window", "content_policy", ""]
_CONTEXT_CODES: Final = frozenset({"context_length_exceeded", "context_window_exceeded"})
_POLICY_CODES: Final = frozenset(
    {"content_policy_violation", "content_filter", "ResponsibleAIPolicyViolation"}
)
_CONTEXT_WORDS: Final = re.compile(
    r"prompt is too long|maximum context length|context (length|window|size)|exceed_context_size",
    re.IGNORECASE,
)
_POLICY_WORDS: Final = re.compile(
    r"content (filtering|management|usage) policy|safety system", re.IGNORECASE
)
_REFUSED: Final = frozenset({400, 403, 413, 422})


def refusal(error: GatewayError) -> Refusal:
    """Return why a provider refused a request, as far as its own words tell; else nothing.

    Codes are looked at first; Anthropic and several OpenAI-style servers say it in words only.
    """
    if not isinstance(error, UpstreamAnswered) or error.provider_status not in _REFUSED:
        return ""
    try:
        whole = wire.decode(error.body)
    except ValueError:
        return ""
    said = whole.get("error") if isinstance(whole, dict) else None
    if not isinstance(said, dict):
        return ""
    names = {value for key in ("code", "type") if isinstance(value := said.get(key), str)}
    if names & _CONTEXT_CODES:
        return "context_window"
    if names & _POLICY_CODES:
        return "content_policy"
    message = said.get("message")
    words = message if isinstance(message, str) else ""
    if _CONTEXT_WORDS.search(words):
        return "context_window"
    return "content_policy" if _POLICY_WORDS.search(words) else ""
