"""Chat streams through the translation to Messages events."""

from gateway.core.errors import UpstreamError
from gateway.core.reply import Block
from gateway.providers.anthropic_wire.messages_stream import ChatEventsToMessage
from tests.fakes.messages_sdk import told


def feed(codec: ChatEventsToMessage, block: bytes) -> bytes:
    """Hand the codec one block."""
    return codec.feed(Block(block))


def translate(*blocks: bytes) -> bytes:
    """Return all that a chat stream becomes, its end included."""
    codec = ChatEventsToMessage(model="ours")
    return b"".join(codec.feed(Block(block)) for block in blocks) + codec.finish()


def translate_failing(*blocks: bytes) -> tuple[bytes, UpstreamError]:
    """Return what a chat stream became before it broke, and what it broke with."""
    codec = ChatEventsToMessage(model="ours")
    out = b""
    try:
        for block in blocks:
            out += codec.feed(Block(block))
        out += codec.finish()
    except UpstreamError as error:
        return out, error
    raise AssertionError("the stream did not break")


def shape(body: bytes) -> list[str]:
    """Return the events in short: type, index, and what a delta adds."""
    lines = []
    for data in told(body):
        delta = data.get("delta") or {}
        said = delta.get("text") or delta.get("thinking") or delta.get("partial_json") or ""
        kind = data["type"].removeprefix("content_block_").removeprefix("message_")
        lines.append(f"{kind} {data.get('index', '')} {said}".rstrip())
    return lines
