"""OpenAI's messages as Anthropic's system blocks and alternating turns."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from gateway.core import wire
from gateway.core.catalogue import Model
from gateway.core.errors import BadRequest
from gateway.providers.anthropic_wire.chat_content import (
    Block,
    bad,
    blocks,
    keep_cache,
    thinking_blocks,
    unsupported,
)
from gateway.providers.anthropic_wire.vocabulary import Losses, anthropic_tool_id, missing

SYSTEM_ROLES: Final = frozenset({"system", "developer"})
_ROLES: Final = SYSTEM_ROLES | {"user", "assistant", "tool", "function"}
_OPEN, _CLOSE = "<system-message>\n", "\n</system-message>"

Message = Mapping[str, Any]


def conversation(
    messages: Sequence[Message], model: Model, losses: Losses
) -> tuple[list[Block], list[Block]]:
    """Return the system blocks and the turns. Raises BadRequest or CapabilityMissing.

    Leading system messages become the system prompt, block for block. Later ones stay where they
    are. Turns alternate, and a turn of tool results has them first, as Anthropic wants it.
    """
    for index, message in enumerate(messages):
        if message["role"] not in _ROLES:
            raise bad(f"messages[{index}].role", "system, developer, user, assistant or tool")
        if message.get("name") and message["role"] != "function":
            losses.note("messages.name")
    start = 0
    system: list[Block] = []
    while start < len(messages) and messages[start]["role"] in SYSTEM_ROLES:
        system += _content(messages[start], start, text_only=True)
        start += 1
    turns = _Turns(native_system=model.mid_system)
    for index in range(start, len(messages)):
        turns.add(messages[index], index)
    return system, _checked(turns.done(), messages, model)


class _Turns:
    """Collects turns; what follows an assistant turn is held until the next one, to be sorted."""

    def __init__(self, *, native_system: bool) -> None:
        self._native_system = native_system
        self._turns: list[Block] = []
        self._results: list[Block] = []
        self._others: list[tuple[str, list[Block]]] = []
        self._function_id = ""

    def add(self, message: Message, index: int) -> None:
        role = message["role"]
        if role == "assistant":
            self._settle()
            self._append("assistant", self._assistant(message, index))
        elif role == "tool":
            use_id = message.get("tool_call_id")
            if not isinstance(use_id, str) or not use_id:
                raise bad(f"messages[{index}].tool_call_id", "a string, and not empty")
            self._results.append(_result(message, anthropic_tool_id(use_id), index))
        elif role == "function":
            if not self._function_id:
                raise bad(f"messages[{index}]", "after a message with a function_call")
            self._results.append(_result(message, self._function_id, index))
        else:
            text_only = role in SYSTEM_ROLES
            found = _content(message, index, text_only=text_only)
            self._others.append(("system" if text_only else "user", found))

    def done(self) -> list[Block]:
        self._settle()
        return self._turns

    def _settle(self) -> None:
        self._append("user", self._results)
        for role, found in self._others:
            if role == "system" and not (self._native_system and self._after("user", "system")):
                self._append("user", [_marked(block) for block in found])
            else:
                self._append(role, found)
        self._results, self._others = [], []

    def _after(self, *roles: str) -> bool:
        return bool(self._turns) and self._turns[-1]["role"] in roles

    def _append(self, role: str, found: list[Block]) -> None:
        if not found:
            return
        if self._after(role):
            self._turns[-1]["content"] += found
        else:
            self._turns.append({"role": role, "content": list(found)})

    def _assistant(self, message: Message, index: int) -> list[Block]:
        path = f"messages[{index}]"
        if message.get("audio") is not None:
            raise unsupported(f"{path}.audio", "is audio, which this model does not take")
        found = _content(message, index)
        if not found and isinstance(message.get("refusal"), str):
            found = blocks(message["refusal"], f"{path}.refusal")
        found += _uses(message.get("tool_calls"), f"{path}.tool_calls")
        legacy = message.get("function_call")
        if legacy is not None:
            self._function_id = f"call_{index}"
            found.append(_use(legacy, self._function_id, f"{path}.function_call"))
        return thinking_blocks(message, path) + found


def _content(message: Message, index: int, *, text_only: bool = False) -> list[Block]:
    path = f"messages[{index}]"
    found = blocks(message.get("content"), f"{path}.content", text_only=text_only)
    if found:
        keep_cache(message, found[-1], path)
    return found


def _marked(block: Block) -> Block:
    return {**block, "text": f"{_OPEN}{block['text']}{_CLOSE}"}


def _result(message: Message, use_id: str, index: int) -> Block:
    path = f"messages[{index}]"
    content = message.get("content")
    block: Block = {"type": "tool_result", "tool_use_id": use_id}
    found = blocks(content, f"{path}.content")
    if found:
        block["content"] = content if isinstance(content, str) else found
    keep_cache(message, block, path)
    return block


def _uses(calls: object, path: str) -> list[Block]:
    if calls is None:
        return []
    if not isinstance(calls, list):
        raise bad(path, "a list")
    uses = []
    for index, call in enumerate(calls):
        where = f"{path}[{index}]"
        if not isinstance(call, dict):
            raise bad(where, "an object")
        if call.get("type", "function") != "function":
            raise unsupported(f"{where}.type", "must be 'function' for this model")
        call_id = call.get("id")
        if not isinstance(call_id, str) or not call_id:
            raise bad(f"{where}.id", "a string, and not empty")
        use = _use(call.get("function"), anthropic_tool_id(call_id), f"{where}.function")
        keep_cache(call, use, where)
        uses.append(use)
    return uses


def _use(function: object, use_id: str, path: str) -> Block:
    if not isinstance(function, dict) or not isinstance(function.get("name"), str):
        raise bad(f"{path}.name", "a string")
    given = _arguments(function.get("arguments"), f"{path}.arguments")
    return {"type": "tool_use", "id": use_id, "name": function["name"], "input": given}


def _arguments(value: object, path: str) -> dict[str, Any]:
    if value is None or value == "":
        return {}
    if not isinstance(value, str):
        raise bad(path, "a string that holds a JSON object")
    try:
        return wire.decode_object(value.encode())
    except BadRequest as error:
        raise bad(path, "a string that holds a JSON object") from error


def _checked(turns: list[Block], messages: Sequence[Message], model: Model) -> list[Block]:
    if not turns:
        raise BadRequest(
            "'messages' must hold at least one user message that is not empty.", param="messages"
        )
    if turns[-1]["role"] == "assistant":
        if not model.prefill:
            raise missing(f"messages[{len(messages) - 1}]")
        _trim_end(turns)
    return turns


def _trim_end(turns: list[Block]) -> None:
    """Take trailing white space off a prefill, which Anthropic refuses; empty, it disappears."""
    content = turns[-1]["content"]
    last = content[-1]
    if last["type"] != "text":
        return
    text = last["text"].rstrip()
    if text:
        content[-1] = {**last, "text": text}
        return
    content.pop()
    if not content:
        turns.pop()
