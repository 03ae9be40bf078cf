"""What a request needs of a model, and what becomes of it when the model lacks that."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from msgspec import Struct

from gateway.core.catalogue import Capability, Model
from gateway.core.chat import ChatRequest
from gateway.core.errors import CapabilityMissing
from gateway.core.parts import PICTURES, kind_of, message_parts

NOTHING: Final[frozenset[str]] = frozenset()
_CONTENT: Final = frozenset({"vision", "documents", "audio"})
_OF_PART: Final[Mapping[str, Capability]] = {
    **dict.fromkeys(PICTURES, "vision"),
    "file": "documents",
    "input_audio": "audio",
}
_DROPPABLE: Final[Mapping[str, tuple[str, ...]]] = {"logprobs": ("logprobs", "top_logprobs")}
"""Capabilities without which the answer is the same one, and the parameters to leave out."""
_PLAIN_SOURCES: Final = frozenset({"text", "content"})

Fields = Mapping[str, Any]


class Need(Struct, frozen=True):
    """Something that a request asks of its model. `param` is a path of ours."""

    capability: Capability
    param: str


def lacking(
    request: ChatRequest, model: Model, stands_in_for: frozenset[str] = NOTHING
) -> Iterator[Need]:
    """Yield what the request needs and the model is stated not to have.

    `stands_in_for` names parameters that the model's provider can make up for. Whether an answer
    streams is never a need: a whole one is told as a stream.
    """
    able = model.capabilities
    if able is None:
        return
    for need in _needs(request, able):
        if need.capability not in able and need.param not in stands_in_for:
            yield need


def fit(
    request: ChatRequest,
    model: Model,
    stands_in_for: frozenset[str] = NOTHING,
    *,
    may_drop: bool = False,
) -> tuple[ChatRequest, tuple[str, ...]]:
    """Return the request as the model can take it, and the names of what was dropped for that.

    Raises CapabilityMissing for what may not be dropped.
    """
    dropped: list[str] = []
    for need in lacking(request, model, stands_in_for):
        names = _DROPPABLE.get(need.capability, ())
        if not may_drop or not names:
            raise CapabilityMissing(
                f"This model does not support '{need.param}'.", param=need.param
            )
        dropped += [name for name in names if name in request.fields]
    if not dropped:
        return request, ()
    return request.with_fields(**dict.fromkeys(dropped)), tuple(dropped)


def _needs(request: ChatRequest, able: frozenset[Capability]) -> Iterator[Need]:
    fields, endpoint = request.fields, request.endpoint
    if endpoint == "messages":
        yield from _of_messages(fields)
    elif endpoint in {"chat", "completions"}:
        yield from _of_chat(fields)
    else:
        return
    if endpoint != "completions" and not able >= _CONTENT:
        yield from _of_parts(fields)


def _of_chat(fields: Fields) -> Iterator[Need]:
    for name in ("tools", "functions"):
        if fields.get(name):
            yield Need("tools", name)
    form = fields.get("response_format")
    if isinstance(form, dict):
        if form.get("type") == "json_schema":
            yield Need("json_schema", "response_format")
        elif form.get("type") == "json_object":
            yield Need("json_object", "response_format")
    modalities = fields.get("modalities")
    if isinstance(modalities, list) and "audio" in modalities:
        yield Need("audio", "modalities")
    if fields.get("logprobs") not in (None, False):
        yield Need("logprobs", "logprobs")


def _of_messages(fields: Fields) -> Iterator[Need]:
    if fields.get("tools"):
        yield Need("tools", "tools")
    config = fields.get("output_config")
    if isinstance(config, dict) and config.get("format") is not None:
        yield Need("json_schema", "output_config.format")
    elif fields.get("output_format") is not None:
        yield Need("json_schema", "output_format")


def _of_parts(fields: Fields) -> Iterator[Need]:
    for part in message_parts(fields):
        if part.kind == "document":
            source = part.fields.get("source")
            if isinstance(source, dict) and kind_of(source) not in _PLAIN_SOURCES:
                yield Need("documents", f"{part.path}.source")
        elif part.kind in _OF_PART:
            yield Need(_OF_PART[part.kind], part.path)
