"""The fields of the YAML files as Markdown tables, read from the structs themselves."""

from collections.abc import Iterator
from inspect import getdoc
from typing import Any, Final

from msgspec import inspect

from gateway.core.capacity import Concurrency
from gateway.core.limits import LimitRule
from gateway.policy.cases import Case, Expect, Given
from gateway.policy.load import PolicyFile
from gateway.policy.tenants import Tenant, TenantsFile
from gateway.semantic import AnyEmbedder
from gateway.stages import AnyStage
from gateway.stages.complexity_router.calibration.targets import Target
from gateway.stages.complexity_router.directions import RulePolicy
from gateway.stages.complexity_router.tiers import TierPolicy
from gateway.stages.failover.targets import TargetPolicy
from gateway.stages.record import RecordPolicy
from gateway.stages.semantic_cache.lookup import SemanticPolicy
from gateway.stages.semantic_cache.policy import SemanticCachePolicy
from gateway.stages.when import When

TABLES: Final[dict[str, Any]] = {
    "policy": PolicyFile,
    "stages": AnyStage,
    "record": RecordPolicy,
    "target": TargetPolicy,
    "tier": TierPolicy,
    "rule": RulePolicy,
    "calibration": Target,
    "when": When,
    "test": Case,
    "given": Given,
    "expect": Expect,
    "tenants": TenantsFile,
    "tenant": Tenant,
    "concurrency": Concurrency,
    "limit": LimitRule,
    "semantic_cache": SemanticCachePolicy,
    "semantic": SemanticPolicy,
    "embedder": AnyEmbedder,
}
_BASIC: Final = {inspect.BoolType: "true or false", inspect.AnyType: "anything"}


def table(shape: Any) -> str:  # noqa: ANN401 - any type msgspec knows
    """Return the fields of a struct, or of every struct of a union, each with a heading."""
    kind = inspect.type_info(shape)
    structs = kind.types if isinstance(kind, inspect.UnionType) else (kind,)
    parts = []
    for struct in structs:
        if isinstance(struct, inspect.StructType):
            heading = f"### {struct.tag}\n\n{getdoc(struct.cls)}\n\n" if struct.tag else ""
            parts.append(heading + "\n".join(_rows(struct)))
    return "\n\n".join(parts) + "\n"


def _rows(struct: inspect.StructType) -> Iterator[str]:
    yield "| field | what stands there | left out | meaning |"
    yield "|---|---|---|---|"
    for field in struct.fields:
        said = _description(field.type)
        yield f"| `{field.encode_name}` | {_words(field.type)} | {_default(field)} | {said} |"


def _description(kind: inspect.Type) -> str:
    if isinstance(kind, inspect.Metadata) and kind.extra_json_schema:
        return str(kind.extra_json_schema.get("description", ""))
    return ""


def _words(kind: inspect.Type) -> str:
    """Return what may stand there, in a few words."""
    if isinstance(kind, inspect.Metadata):
        return _words(kind.type)
    if isinstance(kind, inspect.UnionType):
        named = (_words(each) for each in kind.types if not isinstance(each, inspect.NoneType))
        return " or ".join(dict.fromkeys(named))
    if isinstance(kind, inspect.CollectionType):
        inner = _words(kind.item_type)
        return "a list" if "`" in inner or "any" in inner else f"a list of {inner}"
    if isinstance(kind, inspect.DictType):
        return f"name -> {_words(kind.value_type)}"
    return _struct(kind) if isinstance(kind, inspect.StructType) else _plain(kind)


def _struct(kind: inspect.StructType) -> str:
    if kind.tag is not None:
        return f"`{kind.tag_field}: {kind.tag}`"
    return f"{{{', '.join(field.encode_name for field in kind.fields)}}}"


def _plain(kind: inspect.Type) -> str:
    if isinstance(kind, inspect.LiteralType):
        return ", ".join(f"`{value}`" for value in kind.values)
    if isinstance(kind, inspect.IntType | inspect.FloatType):
        return _number(kind)
    return _BASIC.get(type(kind), "text")


def _number(kind: inspect.IntType | inspect.FloatType) -> str:
    name = "a whole number" if isinstance(kind, inspect.IntType) else "a number"
    bounds = [
        f"{word} {bound:g}"
        for word, bound in (("from", kind.ge), ("above", kind.gt), ("to", kind.le))
        if bound is not None
    ]
    return " ".join([name, *bounds])


def _default(field: inspect.Field) -> str:
    if field.required:
        return "must be there"
    plain = isinstance(field.default, bool | int | float | str) and field.default != ""
    return f"`{field.default}`" if plain else "-"
