"""The models that can be asked for: who serves them, what they can do, what they cost."""

from collections.abc import Collection, Iterator, Mapping
from typing import Annotated, Literal

from msgspec import Meta, Struct

from gateway.core.errors import UnknownModel
from gateway.core.patterns import matcher

Capability = Literal[
    "tools", "vision", "documents", "audio", "json_schema", "json_object", "streaming", "logprobs"
]
Dollars = Annotated[float, Meta(ge=0, le=10_000)]
Tokens = Annotated[int, Meta(ge=1, le=100_000_000)]


class Price(Struct, frozen=True, forbid_unknown_fields=True):
    """Dollars per million tokens. `cached` and `cache_write` default to `input`."""

    input: Dollars
    output: Dollars
    cached: Dollars | None = None
    cache_write: Dollars | None = None


class Model(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One entry of `config/models.yaml`; `name` is its key there."""

    provider: str
    name: str = ""
    upstream: str = ""
    """The provider's name for it; empty means the same name."""
    endpoints: tuple[Literal["chat", "completions", "embeddings"], ...] = ("chat",)
    tier: Literal["fast", "balanced", "complex"] | None = None
    context: Tokens | None = None
    max_output: Tokens | None = None
    price: Price | None = None
    capabilities: frozenset[Capability] = frozenset({"streaming"})
    sampling: Literal["all", "one", "none"] = "all"
    """Whether temperature and top_p are accepted: both, one of them, or none (Claude 4.7+)."""
    thinking: Literal["none", "budget", "both", "adaptive"] = "none"
    """The form of Anthropic thinking it takes (Claude <= 4.5 budget, 4.6 both, then adaptive)."""
    mid_system: bool = False
    """Whether `role: system` is accepted inside messages (Claude Opus 4.8+)."""
    prefill: bool = False
    """Whether a last assistant message is continued (by Claude up to 4.5, and by nobody since)."""
    max_tokens_field: Literal["max_tokens", "max_completion_tokens"] = "max_tokens"
    """The limit's name that an OpenAI-style upstream takes (o-series and gpt-5+: the latter)."""

    @property
    def upstream_name(self) -> str:
        """The name to send to the provider."""
        return self.upstream or self.name


class Target(Struct, frozen=True):
    """A model to try. `chosen` is true when the gateway, not the caller, picked it."""

    model: Model
    chosen: bool = False


class Catalogue(Struct, frozen=True):
    """All models by name, plus aliases. `unserved` says why a known model is not available."""

    models: Mapping[str, Model]
    aliases: Mapping[str, str] = {}
    unserved: Mapping[str, str] = {}

    def find(self, name: str) -> Target:
        """Return the target for a caller's model name. Raises UnknownModel."""
        wanted = self.aliases.get(name, name)
        model = self.models.get(wanted)
        if model is None or wanted in self.unserved:
            reason = self.unserved.get(wanted, "GET /v1/models lists what is served.")
            raise UnknownModel(f"This model is not served here. {reason}", param="model")
        return Target(model=model, chosen=wanted != name)

    def matching(self, patterns: Collection[str]) -> frozenset[str]:
        """Return the names that `patterns` allow to ask for.

        `*` stands for any text and is tried on models only. A model brings the aliases that stand
        for it; an alias that is written out brings itself, not its model.
        """
        matches = matcher(patterns)
        plain = {name for name in patterns if "*" not in name}
        models = {name for name in self.models if matches(name)}
        return frozenset(
            {*plain, *models, *(a for a, name in self.aliases.items() if name in models)}
        )

    def served(self) -> Iterator[str]:
        """Yield every name that a caller may ask for, aliases last."""
        yield from (name for name in self.models if name not in self.unserved)
        yield from (alias for alias, name in self.aliases.items() if name not in self.unserved)
