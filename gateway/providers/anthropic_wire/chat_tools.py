"""OpenAI's tools, tool choice and response format as Anthropic's."""

from collections.abc import Mapping
from typing import Any, Final

from msgspec import Struct

from gateway.core.catalogue import Model
from gateway.core.errors import BadRequest
from gateway.providers.anthropic_wire.chat_content import Block, bad, keep_cache
from gateway.providers.anthropic_wire.chat_schema import strict_schema
from gateway.providers.anthropic_wire.vocabulary import AnswerForm, Losses

JSON_TOOL: Final = "json_output"
JSON_INSTRUCTION: Final = (
    "Answer with exactly one valid JSON object and nothing else: no prose, no code fence."
)
_AUTO: Final = {"type": "auto"}
_ANY: Final = {"type": "any"}
_WORDS: Final[Mapping[str, Block]] = {"auto": _AUTO, "none": {"type": "none"}, "required": _ANY}
_EMPTY_SCHEMA: Final = {"type": "object", "properties": {}}

Fields = Mapping[str, Any]


class Tooling(Struct):
    """What tools, tool choice and response format come to."""

    tools: list[Block]
    choice: Block | None = None
    format: Block | None = None
    instruction: str = ""
    form: AnswerForm = AnswerForm()

    @property
    def forced(self) -> bool:
        """Whether the model must call a tool, which Anthropic refuses to combine with thinking."""
        return self.choice is not None and self.choice["type"] in {"any", "tool"}


def tooling(fields: Fields, model: Model, losses: Losses) -> Tooling:
    """Translate everything about tools and structured output. Raises CallerError."""
    legacy = fields.get("functions") is not None
    found = Tooling(tools=_functions(fields) if legacy else _tools(fields, losses))
    if legacy:
        found.form = AnswerForm(functions=True)
        found.choice = _legacy_choice(fields.get("function_call"), found)
    else:
        found.choice = _choice(fields.get("tool_choice"), found, losses)
    single = legacy or fields.get("parallel_tool_calls") is False
    _response_format(fields.get("response_format"), found, model, losses)
    if single and found.tools and (found.choice or _AUTO)["type"] != "none":
        found.choice = {**(found.choice or _AUTO), "disable_parallel_tool_use": True}
    return found


def _tools(fields: Fields, losses: Losses) -> list[Block]:
    given = fields.get("tools")
    if given is None:
        return []
    if not isinstance(given, list):
        raise bad("tools", "a list")
    tools = []
    for index, tool in enumerate(given):
        path = f"tools[{index}]"
        if not isinstance(tool, dict):
            raise bad(path, "an object")
        if tool.get("type", "function") != "function":
            raise losses.refusal(f"{path}.type")
        block = _tool(tool.get("function"), f"{path}.function")
        keep_cache(tool, block, path)
        tools.append(block)
    return tools


def _functions(fields: Fields) -> list[Block]:
    given = fields["functions"]
    if not isinstance(given, list):
        raise bad("functions", "a list")
    return [_tool(function, f"functions[{index}]") for index, function in enumerate(given)]


def _tool(function: object, path: str) -> Block:
    if not isinstance(function, dict):
        raise bad(path, "an object")
    if not isinstance(function.get("name"), str):
        raise bad(f"{path}.name", "a string")
    schema = function.get("parameters")
    if schema is not None and not isinstance(schema, dict):
        raise bad(f"{path}.parameters", "an object")
    block: Block = {"name": function["name"]}
    if function.get("description") is not None:
        block["description"] = function["description"]
    block["input_schema"] = schema or _EMPTY_SCHEMA
    if function.get("strict") is not None:
        block["strict"] = function["strict"]
    keep_cache(function, block, path)
    return block


def _choice(value: object, found: Tooling, losses: Losses) -> Block | None:
    if value is None:
        return None
    if isinstance(value, str) and value in _WORDS:
        if value == "required" and not found.tools:
            raise bad("tool_choice", "left out, or tools must be given")
        return _WORDS[value] if found.tools else None
    if not isinstance(value, dict):
        raise bad("tool_choice", "auto, none, required or an object")
    kind = value.get("type")
    if kind == "function":
        return {"type": "tool", "name": _named(value.get("function"), found, "tool_choice")}
    if kind == "allowed_tools":
        return _allowed(value.get("allowed_tools"), found)
    raise losses.refusal("tool_choice.type")


def _legacy_choice(value: object, found: Tooling) -> Block | None:
    if value is None or value == "auto":
        return None
    if value == "none":
        return _WORDS["none"]
    return {"type": "tool", "name": _named(value, found, "function_call")}


def _allowed(value: object, found: Tooling) -> Block:
    """Keep only the allowed tools: Anthropic can name one tool or all, not some."""
    path = "tool_choice.allowed_tools"
    if not isinstance(value, dict) or value.get("mode") not in ("auto", "required"):
        raise bad(f"{path}.mode", "auto or required")
    allowed = value.get("tools")
    if not isinstance(allowed, list) or not allowed:
        raise bad(f"{path}.tools", "a list, and not empty")
    names = {
        _named(item.get("function") if isinstance(item, dict) else None, found, f"{path}.tools")
        for item in allowed
    }
    found.tools = [tool for tool in found.tools if tool["name"] in names]
    return _WORDS[value["mode"]]


def _named(function: object, found: Tooling, path: str) -> str:
    name = function.get("name") if isinstance(function, dict) else None
    if not isinstance(name, str) or all(tool["name"] != name for tool in found.tools):
        raise bad(path, "the name of one of the request's tools")
    return name


def _response_format(value: object, found: Tooling, model: Model, losses: Losses) -> None:
    if value is None:
        return
    kind = value.get("type") if isinstance(value, dict) else None
    if not isinstance(value, dict) or kind not in ("text", "json_object", "json_schema"):
        raise bad("response_format.type", "text, json_object or json_schema")
    if kind == "json_object":
        found.instruction = JSON_INSTRUCTION
    if kind != "json_schema":
        return
    given = value.get("json_schema")
    schema = given.get("schema") if isinstance(given, dict) else None
    if not isinstance(given, dict) or not isinstance(schema, dict):
        raise bad("response_format.json_schema.schema", "an object")
    if model.takes_schema:
        strict, lost = strict_schema(schema)
        found.format = {"type": "json_schema", "schema": strict}
        for keyword in sorted(lost):
            losses.note(f"response_format.{keyword}")
        return
    if not model.may("tools"):
        raise losses.refusal("response_format")
    _force_json(given, schema, found)


def _force_json(given: Fields, schema: Fields, found: Tooling) -> None:
    """Have an older model answer through a tool whose input is the answer."""
    if schema.get("type") != "object":
        raise BadRequest(
            "This model needs a schema whose type is 'object'.",
            param="response_format.json_schema.schema",
        )
    if found.forced:
        return  # this turn is a tool call in any case; the format is for the turn that answers
    name = JSON_TOOL
    while any(tool["name"] == name for tool in found.tools):
        name += "_"
    said = given.get("description")
    about = f"Give the answer. {said}" if isinstance(said, str) else "Give the answer."
    alone = not found.tools or (found.choice or _AUTO)["type"] == "none"
    found.tools = [*found.tools, {"name": name, "description": about, "input_schema": schema}]
    found.choice = {"type": "tool", "name": name} if alone else _ANY
    found.form = AnswerForm(json_tool=name, functions=found.form.functions)
