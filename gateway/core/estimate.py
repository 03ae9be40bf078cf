"""Tokens without a tokeniser: cheap enough for every request, and said to be a guess."""

from math import ceil
from typing import Any, Final

from msgspec import Struct

from gateway.core.catalogue import Model
from gateway.core.chat import ALWAYS_WHOLE, ChatRequest

BYTES_PER_TOKEN: Final = 4
TOKENS_PER_MESSAGE: Final = 4
UNLEARNED: Final = 1024
"""Output tokens that a request is expected to have before anything is known of its kind."""
LEARNING: Final = 8
"""Answers after which what was observed is believed, and between two looks at it."""
REMEMBERED: Final = 64
"""The newest answers of a kind that count."""
MOST_KINDS: Final = 4096
MOST_ANSWERS: Final = 128
"""Of one request (`n`); a provider allows fewer."""
_LONG: Final = 1 << 16
_SAMPLE: Final = 4096
_NODES: Final = 20_000
_PERCENTILE: Final = 0.9
_MAX_TOKENS: Final = 1_000_000_000
_OTHER_FIELDS: Final = ("system", "tools", "functions", "prompt", "input")
_OTHER: Final = frozenset(_OTHER_FIELDS)
_TEXT_FIELDS: Final = ("messages", *_OTHER_FIELDS)
_ROLE_AND_CONTENT: Final = 2
_LIMIT_FIELDS: Final = ("max_completion_tokens", "max_tokens")
_COUNT_FIELDS: Final = ("n", "best_of")
_NO_TEXT: Final = frozenset(
    {
        *("type", "role", "id", "cache_control", "signature"),
        *("source", "data", "image_url", "file", "input_audio"),
    }
)


def input_tokens(request: ChatRequest) -> int:
    """Return about how many tokens the request brings: a token for every 4 bytes of text.

    Each message counts 4 more, a token given as a number one. Pictures, sound and files count
    nothing. English text is within about a quarter of the truth; Chinese or code may have half as
    many again. What has more than 20,000 parts is counted by its bytes from there on.
    """
    fields, most, size = request.fields, len(request.body), 0
    messages = fields.get("messages")
    messages = messages if isinstance(messages, list) else []
    if len(messages) <= _NODES:
        others = []
        if not _OTHER.isdisjoint(fields):
            others = [fields[name] for name in _OTHER_FIELDS if name in fields]
        for message in messages:
            content = message.get("content") if len(message) == _ROLE_AND_CONTENT else None
            if type(content) is str and "role" in message:  # as nearly all are
                size += len(content) if content.isascii() else _bytes_of(content)
            else:
                others.append(message)
    else:
        others = [fields[name] for name in _TEXT_FIELDS if name in fields]
    if others:
        size += text_size(others, most)
    return -(-size // BYTES_PER_TOKEN) + TOKENS_PER_MESSAGE * len(messages)


def text_size(value: Any, most: int) -> int:  # noqa: ANN401 - any JSON
    """Return the UTF-8 bytes of all text below `value`; pictures and files are no text.

    Beyond 20,000 parts it is not walked any further: then it is `most`.
    """
    size, nodes, todo = 0, 0, [value]
    while todo:
        node = todo.pop()
        if isinstance(node, str):
            size += len(node) if node.isascii() else _bytes_of(node)
        elif isinstance(node, list):
            nodes += len(node)
            if nodes > _NODES:
                return most
            todo += node
        elif isinstance(node, dict):
            nodes += len(node)
            if nodes > _NODES:
                return most
            todo += [child for name, child in node.items() if name not in _NO_TEXT]
        elif type(node) is int:
            size += BYTES_PER_TOKEN
    return size


def _bytes_of(text: str) -> int:
    """Return the bytes of a text, of a long one by its beginning."""
    if len(text) <= _LONG:
        return len(text.encode())
    return len(text[:_SAMPLE].encode()) * len(text) // _SAMPLE


def output_limit(request: ChatRequest, model: Model) -> int | None:
    """Return the most output tokens that the request allows; None when it states no limit.

    What it states counts for each of its answers (`n`), and no more than the model can do.
    """
    if request.endpoint in ALWAYS_WHOLE:
        return 0
    fields, most = request.fields, 0
    for name in _LIMIT_FIELDS:
        if name in fields:
            stated = fields[name]
            if type(stated) is int and most < stated <= _MAX_TOKENS:
                most = stated
    if not most:
        return None
    if model.max_output is not None and model.max_output < most:
        most = model.max_output
    if "n" in fields or "best_of" in fields:
        most *= _answers(request)
    return most


def expected_output(learned: int, request: ChatRequest, model: Model) -> int:
    """Return what an answer without a stated limit is expected to have, given what was learned."""
    if model.max_output is None:
        return learned
    return min(learned, model.max_output * _answers(request))


def _answers(request: ChatRequest) -> int:
    fields, answers = request.fields, 1
    for name in _COUNT_FIELDS:
        if name in fields:
            count = fields[name]
            if type(count) is int and count > answers:
                answers = count
    return min(answers, MOST_ANSWERS)


def tokens_in(size: int) -> int:
    """Return about how many tokens so many bytes of text are, at least one."""
    return max(1, -(-size // BYTES_PER_TOKEN))


class _Seen(Struct, gc=False):
    """Output tokens of the newest answers of one kind, in a ring."""

    ring: list[int]
    count: int = 0
    high: int = UNLEARNED


class OutputHistory:
    """How long answers are: for each kind of request what nine of ten stay within.

    It remembers 64 answers of each of the 4096 kinds that were seen last. A kind is a tuple of
    names, such as tenant, policy, endpoint and model.
    """

    def __init__(self) -> None:
        self._kinds: dict[tuple[str, ...], _Seen] = {}

    def __len__(self) -> int:
        return len(self._kinds)

    def high(self, kind: tuple[str, ...]) -> int:
        """Return the 90th percentile of output tokens, 1024 until 8 answers were seen."""
        seen = self._kinds.get(kind)
        return UNLEARNED if seen is None else seen.high

    def observe(self, kind: tuple[str, ...], tokens: int) -> None:
        """Take note of an answer's output tokens."""
        seen = self._kinds.pop(kind, None)
        if seen is None:
            seen = _Seen([])
            if len(self._kinds) >= MOST_KINDS:
                del self._kinds[next(iter(self._kinds))]
        self._kinds[kind] = seen  # at the end: it was seen last
        if seen.count < REMEMBERED:
            seen.ring.append(tokens)
        else:
            seen.ring[seen.count % REMEMBERED] = tokens
        seen.count += 1
        if seen.count % LEARNING == 0:
            values = sorted(seen.ring)
            seen.high = values[ceil(_PERCENTILE * len(values)) - 1]
