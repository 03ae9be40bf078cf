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


class Price(Struct, frozen=True, forbid_unknown_fields=True, cache_hash=True):
    """Dollars per million tokens. `cached` and `cache_write` default to `input`.

    `cache_write_1h` defaults to `cache_write`.
    """

    input: Annotated[Dollars, Meta(description="For a million input tokens.")]
    output: Annotated[Dollars, Meta(description="For a million output tokens.")]
    cached: Annotated[
        Dollars | None, Meta(description="For a million that were cached; else as `input`.")
    ] = None
    cache_write: Annotated[
        Dollars | None, Meta(description="For a million put into the cache; else as `input`.")
    ] = None
    cache_write_1h: Annotated[
        Dollars | None,
        Meta(description="For a million put there for an hour; else as `cache_write`."),
    ] = None


class Model(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One entry of `config/models.yaml`; `name` is its key there."""

    provider: Annotated[str, Meta(description="Its block under `providers:` in gateway.yaml.")]
    name: Annotated[str, Meta(description="Set by the gateway: the key of this entry.")] = ""
    upstream: Annotated[
        str, Meta(description="The provider's name for it; empty means the same name.")
    ] = ""
    endpoints: Annotated[
        tuple[Literal["chat", "completions", "embeddings"], ...],
        Meta(description="What it may be asked for."),
    ] = ("chat",)
    tier: Annotated[
        Literal["fast", "balanced", "complex"] | None,
        Meta(description="How able and dear it is, for routing by difficulty."),
    ] = None
    context: Annotated[Tokens | None, Meta(description="Tokens of input and output together.")] = (
        None
    )
    max_output: Annotated[
        Tokens | None,
        Meta(description="Most tokens of an answer; sent where a limit is required."),
    ] = None
    price: Annotated[
        Price | None, Meta(description="Without one its cost is unknown, never free.")
    ] = None
    capabilities: Annotated[
        frozenset[Capability] | None,
        Meta(
            description="What a request may ask of it; one that asks for more is a 400. Left out,"
            " nothing is known: all is passed on, and the provider decides."
        ),
    ] = None
    sampling: Annotated[
        Literal["all", "one", "none"],
        Meta(description="temperature and top_p: both, one of them, or none (Claude 4.7+)."),
    ] = "all"
    thinking: Annotated[
        Literal["none", "budget", "both", "adaptive"],
        Meta(
            description="How it is told to think. Claude up to 4.5: budget, 4.6: both, 4.7 on:"
            " adaptive. OpenAI-style with reasoning_effort: adaptive. Others: none."
        ),
    ] = "none"
    mid_system: Annotated[
        bool, Meta(description="Takes `role: system` inside messages (Claude Opus 4.8+).")
    ] = False
    prefill: Annotated[
        bool, Meta(description="Continues a last assistant message (Claude up to 4.5).")
    ] = False
    cache_marks: Annotated[
        bool,
        Meta(
            description="Whether an OpenAI-style provider takes Anthropic's `cache_control`, as"
            " OpenRouter does."
        ),
    ] = False
    prompt_cache_min: Annotated[
        Tokens,
        Meta(
            description="Tokens that a prompt's beginning must have for Claude to keep it; the"
            " stage `prompt_cache` marks none below."
        ),
    ] = 1024
    max_tokens_field: Annotated[
        Literal["max_tokens", "max_completion_tokens"],
        Meta(description="The limit's name on OpenAI's wire (o-series and gpt-5+: the latter)."),
    ] = "max_tokens"

    @property
    def upstream_name(self) -> str:
        """The name to send to the provider."""
        return self.upstream or self.name

    def may(self, capability: Capability) -> bool:
        """Whether it may be asked for this; where nothing is stated, the provider decides."""
        return self.capabilities is None or capability in self.capabilities

    @property
    def takes_schema(self) -> bool:
        """Whether it is stated to answer by a JSON Schema of its own accord."""
        return self.capabilities is not None and "json_schema" in self.capabilities


class Target(Struct, frozen=True):
    """A model to try. `chosen` is true when the gateway, not the caller, picked it."""

    model: Model
    chosen: bool = False
    first_token: float | None = None
    """Seconds after being asked at which a stream that has said nothing is given up."""


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
        return Target(model, wanted != name)

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
