"""A stream gathered as it passes, to be kept as the whole answer that it tells."""

from typing import Any, Final

from gateway.core import wire
from gateway.core.assemble import assembler_for
from gateway.core.chat import Endpoint
from gateway.core.ports import Clock
from gateway.core.reply import Block, Usage

MOST: Final = 1 << 20
"""Bytes of a stream that is kept."""
_AT_ONCE: Final = 64
"""Blocks that are read before others may go on: about a fifth of a millisecond."""


class Recording:
    """Holds the blocks of a stream, unless they become too many."""

    def __init__(self, endpoint: Endpoint) -> None:
        self._endpoint = endpoint
        self._blocks: list[Block] = []
        self._size = 0

    def take(self, block: Block) -> None:
        """Hold the next block."""
        self._size += len(block)
        if self._size <= MOST:
            self._blocks.append(block)
        else:
            self._blocks.clear()

    @property
    def too_large(self) -> bool:
        """Whether it was more than is kept."""
        return self._size > MOST

    async def whole(self, usage: Usage | None, clock: Clock) -> bytes | None:
        """Return the answer, with its usage also where its caller did not want to know it.

        None when it was too large, makes no sense, or its usage is not known.
        """
        if self.too_large:
            return None
        assembler = assembler_for(self._endpoint)
        try:
            for start in range(0, len(self._blocks), _AT_ONCE):
                if start:
                    await clock.sleep(0)
                for block in self._blocks[start : start + _AT_ONCE]:
                    assembler.feed(block)
            body, told = assembler.finish()
        except ValueError:
            return None
        if told is not None:
            return body
        if usage is None or self._endpoint == "messages":  # which tells it in any case
            return None
        return _with_usage(body, usage)


def _with_usage(body: bytes, usage: Usage) -> bytes:
    """Return a completion that tells its usage as OpenAI does."""
    counts: dict[str, Any] = {
        "prompt_tokens": usage.input,
        "completion_tokens": usage.output,
        "total_tokens": usage.input + usage.output,
        "prompt_tokens_details": {"cached_tokens": usage.cached},
        "completion_tokens_details": {"reasoning_tokens": usage.reasoning},
    }
    return wire.replace_fields(body, {"usage": counts})
