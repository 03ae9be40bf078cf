"""Tokens without a tokeniser: cheap enough for every request, and said to be a guess."""

from collections import deque
from collections.abc import Mapping
from contextlib import suppress
from math import ceil
from typing import Any, Final

from msgspec import Struct

from gateway.core.catalogue import Model
from gateway.core.chat import ALWAYS_WHOLE, ChatRequest
from gateway.core.parts import PICTURES, kind_of
from gateway.core.pictures import ANTHROPIC_MOST, picture_tokens

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
MOST_PICTURES: Final = 100
"""Of one request whose size is looked for; providers allow few more."""
_LONG: Final = 1 << 16
_SAMPLE: Final = 4096
_NODES: Final = 20_000
_PERCENTILE: Final = 0.9
_MAX_TOKENS: Final = 1_000_000_000
_DIGITS: Final = 4_300
"""Of a number that is given as text; longer ones are read by nobody."""
_OTHER_FIELDS: Final = ("system", "tools", "functions", "prompt", "input")
_OTHER: Final = frozenset(_OTHER_FIELDS)
_TEXT_FIELDS: Final = ("messages", *_OTHER_FIELDS)
_ROLE_AND_CONTENT: Final = 2
_COUNT_FIELDS: Final = ("n", "best_of")
_NO_TEXT: Final = frozenset(
    {
        *("type", "role", "id", "cache_control", "signature"),
        *("source", "data", "image_url", "file", "input_audio"),
    }
)


def input_tokens(request: ChatRequest) -> int:
    """Return about how many tokens the request brings: a token for every 4 bytes of text.

    Each message counts 4 more, a token given as a number one, a picture what `picture_tokens` says;
    sound and files count nothing. English text is within about a quarter of the truth; Chinese or
    code may have half as many again. What has more than 20,000 parts is counted by its bytes from
    there on.
    """
    fields, size = request.fields, 0
    messages: Any = fields.get("messages", ())
    if type(messages) is list and len(messages) <= _NODES:
        others = [] if _OTHER.isdisjoint(fields) else [fields.get(name) for name in _OTHER_FIELDS]
        for message in messages:
            # Where messages are not what is asked, nobody has looked at their shape.
            content = message.get("content") if type(message) is dict else None
            if type(content) is str and len(message) == _ROLE_AND_CONTENT:  # as nearly all are
                size += len(content) if content.isascii() else _bytes_of(content)
            else:
                others.append(message)
    else:
        others = [fields.get(name) for name in _TEXT_FIELDS]
        messages = messages if type(messages) is list else ()
    if others:
        size += text_size(others, len(request.body))
    return -(-size // BYTES_PER_TOKEN) + TOKENS_PER_MESSAGE * len(messages)


def text_size(value: Any, most: int) -> int:  # noqa: ANN401 - any JSON
    """Return the UTF-8 bytes of all text below `value`, and 4 for each token of a picture.

    Beyond 20,000 parts it is not walked any further: then it is `most`. Pictures beyond 100 count
    the most that one can.
    """
    size, nodes, pictures, todo = 0, 0, 0, [value]
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
            if kind_of(node) in PICTURES:
                pictures += 1
                seen = picture_tokens(node) if pictures <= MOST_PICTURES else ANTHROPIC_MOST
                size += BYTES_PER_TOKEN * seen
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
    fields = request.fields
    most = stated_output(fields)
    if not most:
        return None
    if model.max_output is not None and model.max_output < most:
        most = model.max_output
    return most * answers_of(request) if "n" in fields or "best_of" in fields else most


def stated_output(fields: Mapping[str, Any]) -> int:
    """Return the most output tokens that each answer may have, as far as that is stated; else 0."""
    most, other = fields.get("max_tokens"), fields.get("max_completion_tokens")
    if most is None:
        most = 0
    elif type(most) is not int or not 0 < most <= _MAX_TOKENS:
        most = _number(most)
    if other is None:
        return most
    if type(other) is not int or not 0 < other <= _MAX_TOKENS:
        other = _number(other)
    return max(most, other)


def _number(stated: Any) -> int:  # noqa: ANN401 - any JSON
    """Return a number as the most lenient of servers reads it, at most a billion, else 0.

    Many take `"9"` and `9.0` for 9; what is counted must be no less than what they do.
    """
    if type(stated) is str and len(stated) <= _DIGITS:
        with suppress(ValueError):
            stated = float(stated)
    if type(stated) not in (int, float) or not stated > 0:
        return 0
    return int(min(stated, _MAX_TOKENS))


def expected_output(learned: int, request: ChatRequest, model: Model) -> int:
    """Return what an answer without a stated limit is expected to have, given what was learned."""
    if model.max_output is None:
        return learned
    return min(learned, model.max_output * answers_of(request))


def answers_of(request: ChatRequest) -> int:
    """Return how many answers the request asks for (`n`)."""
    fields, answers = request.fields, 1
    for name in _COUNT_FIELDS:
        if name in fields:
            answers = max(answers, _number(fields[name]))
    return min(answers, MOST_ANSWERS)


def tokens_in(size: int) -> int:
    """Return about how many tokens so many bytes of text are, at least one."""
    return max(1, -(-size // BYTES_PER_TOKEN))


class Answers(Struct, gc=False):
    """How long the answers of one kind of request were."""

    newest: deque[int]
    count: int = 0
    before: int = 0
    """Its `count` when room was last made for another kind."""
    high: int = UNLEARNED
    """The 90th percentile of output tokens, 1024 until 8 answers were seen."""

    def observe(self, tokens: int) -> None:
        """Take note of an answer's output tokens."""
        self.newest.append(tokens)
        self.count = count = self.count + 1
        if count % LEARNING == 0:
            values = sorted(self.newest)
            self.high = values[ceil(_PERCENTILE * len(values)) - 1]


class OutputHistory:
    """How long answers are: for each kind of request what nine of ten stay within.

    It remembers 64 answers of each of 4096 kinds; of more kinds it forgets those without answers of
    late. A kind is a tuple of names, such as tenant, policy, endpoint and model.
    """

    def __init__(self) -> None:
        self._kinds: dict[tuple[str, ...], Answers] = {}

    def __len__(self) -> int:
        return len(self._kinds)

    def of(self, kind: tuple[str, ...]) -> Answers:
        """Return what is known of a kind, which is nothing yet when it is new."""
        answers = self._kinds.get(kind)
        if answers is None:
            if len(self._kinds) >= MOST_KINDS:
                self._make_room()
            answers = self._kinds[kind] = Answers(deque(maxlen=REMEMBERED))
        return answers

    def _make_room(self) -> None:
        """Forget the oldest kind without an answer since it was looked at, at worst the oldest."""
        for _ in range(MOST_KINDS):
            oldest = next(iter(self._kinds))
            answers = self._kinds.pop(oldest)
            if answers.count == answers.before:
                return
            answers.before = answers.count
            self._kinds[oldest] = answers
        del self._kinds[next(iter(self._kinds))]
