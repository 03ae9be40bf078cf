"""A request: the bytes as sent, and a narrow typed view of them."""

from collections.abc import Mapping
from typing import Any, Final, Literal

from msgspec import Struct

from gateway.core import wire
from gateway.core.errors import BadRequest

Dialect = Literal["openai", "anthropic"]
Endpoint = Literal["chat", "completions", "embeddings", "messages", "count_tokens"]

MAX_MESSAGES: Final = 10_000
MAX_MODEL_NAME: Final = 256
DIALECTS: Final[Mapping[Endpoint, Dialect]] = {
    "chat": "openai",
    "completions": "openai",
    "embeddings": "openai",
    "messages": "anthropic",
    "count_tokens": "anthropic",
}
ALWAYS_WHOLE: Final[frozenset[Endpoint]] = frozenset({"embeddings", "count_tokens"})
"""Where nothing streams."""
_CONTENT_FIELD: Final[Mapping[Endpoint, str]] = {
    "chat": "messages",
    "completions": "prompt",
    "embeddings": "input",
    "messages": "messages",
    "count_tokens": "messages",
}


class ChatRequest(Struct, frozen=True):
    """One decoded request of any endpoint and dialect.

    `body` is what the client sent and what a provider of the same dialect receives. `fields` is
    the same object decoded: read it, never change it. An edit is a new request whose body
    re-encodes only the fields that changed.
    """

    endpoint: Endpoint
    body: bytes
    fields: Mapping[str, Any]
    model: str
    stream: bool = False
    betas: tuple[str, ...] = ()
    """Values of the caller's `anthropic-beta` header, for an Anthropic upstream."""
    version: str = ""
    """The caller's `anthropic-version` header, empty when it sent none."""

    @property
    def dialect(self) -> Dialect:
        """The dialect that the caller speaks, and that the reply must speak."""
        return DIALECTS[self.endpoint]

    @property
    def wants_usage(self) -> bool:
        """Whether the caller asked for the usage event of an OpenAI stream."""
        options = self.fields.get("stream_options")
        return isinstance(options, dict) and options.get("include_usage") is True

    def with_fields(self, **changes: Any) -> "ChatRequest":  # noqa: ANN401 - JSON values
        """Return a copy with top-level fields set, or removed where the value is None."""
        fields = {
            k: v for k, v in {**self.fields, **changes}.items() if v is not None or k not in changes
        }
        return ChatRequest(
            endpoint=self.endpoint,
            body=wire.replace_fields(self.body, changes),
            fields=fields,
            model=fields.get("model", self.model),
            stream=fields.get("stream") is True,
            betas=self.betas,
            version=self.version,
        )


def parse_request(
    endpoint: Endpoint, body: bytes, *, betas: tuple[str, ...] = (), version: str = ""
) -> ChatRequest:
    """Decode a stranger's bytes. Raises BadRequest naming the parameter, never its value."""
    fields = wire.decode_object(body)
    model = fields.get("model")
    if not isinstance(model, str) or not model or len(model) > MAX_MODEL_NAME:
        raise _bad("model", f"a string of 1 to {MAX_MODEL_NAME} characters")
    stream = fields.get("stream")
    if stream is not None and not isinstance(stream, bool):
        raise _bad("stream", "true or false")
    if fields.get("stream_options") is not None and not isinstance(fields["stream_options"], dict):
        raise _bad("stream_options", "an object")
    _check_content(endpoint, fields)
    return ChatRequest(endpoint, body, fields, model, stream is True, betas, version)


def _check_content(endpoint: Endpoint, fields: Mapping[str, Any]) -> None:
    name = _CONTENT_FIELD[endpoint]
    content = fields.get(name)
    if name != "messages":
        if not content or not isinstance(content, str | list):
            raise _bad(name, "a string or a list, and not empty")
        return
    if not isinstance(content, list) or not content:
        raise _bad("messages", "a list with at least one message")
    if len(content) > MAX_MESSAGES:
        raise _bad("messages", f"at most {MAX_MESSAGES} messages")
    for index, message in enumerate(content):
        if not isinstance(message, dict) or not isinstance(message.get("role"), str):
            raise _bad(f"messages[{index}].role", "a string")


def _bad(param: str, expected: str) -> BadRequest:
    return BadRequest(f"'{param}' must be {expected}.", param=param)
