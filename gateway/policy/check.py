"""What the types of the config files cannot say: names that must exist, keys that must differ."""

from collections.abc import Collection, Mapping
from typing import Final

from gateway.core.catalogue import Model
from gateway.documents import Document, suggest
from gateway.documents.diagnostic import Severity
from gateway.providers import AnyProvider
from gateway.providers.openai import OpenAIConfig
from gateway.providers.simulated.provider import SimulatedConfig
from gateway.semantic import AnyEmbedder
from gateway.semantic.openai import OpenAIEmbedderConfig
from gateway.settings import Settings
from gateway.state import AnyState

GUESSABLE: Final = 16
"""A key with fewer characters is warned of, and refused where other machines can try it."""


def check_keys(document: Document, settings: Settings) -> None:
    """Report keys that are not there or can be guessed, and two that are the same."""
    seen: dict[str, str] = {}
    severity: Severity = "warning" if settings.private else "error"
    token = settings.admin_token
    if token is not None and token.present:
        seen[token.reveal()] = "admin_token"
    elif token is not None:
        document.report(("admin_token",), f"{token.lack}, or remove this line.", alone=True)
    for tenant, key in settings.keys.items():
        if not key.present:
            document.report(("keys", tenant), f"{key.lack}, or remove this line.")
            continue
        if len(key.reveal()) < GUESSABLE:
            what = f"{key.source} has fewer than {GUESSABLE} characters, so it can be guessed."
            cure = "Make one with `openssl rand -hex 24`."
            document.report(("keys", tenant), f"{what} {cure}", severity)
        first = seen.setdefault(key.reveal(), tenant)
        if first != tenant:
            document.report(("keys", tenant), f"this is the same key as that of `{first}`.")


def check_pepper(document: Document, settings: Settings, state: AnyState) -> None:
    """Report a pepper that is not there, and a fleet that has none in common."""
    pepper = settings.pepper
    if pepper is not None and not pepper.present:
        document.report(("pepper",), f"{pepper.lack}, or remove this line.", alone=True)
    elif pepper is None and state.several_nodes:
        what = "each node would make a `pepper` of its own and take no other's keys or answers."
        cure = "Add `pepper: env:TURNOUT_PEPPER`, the same for every node."
        document.report(("state",), f"{what} {cure}", "warning")


def check_providers(document: Document, providers: Mapping[str, AnyProvider]) -> None:
    """Report what a provider's block says that can be written but not be used."""
    for name, config in providers.items():
        for place, what in config.check():
            document.report(("providers", name, *place), what)


def check_state(document: Document, state: AnyState) -> None:
    """Report what the block of the store says that can be written but not be used."""
    for place, what in state.check():
        document.report(("state", *place), what)


def check_embedder(
    document: Document, embedder: AnyEmbedder, providers: Mapping[str, AnyProvider]
) -> None:
    """Report an embedder whose provider is not there or makes no vectors."""
    if not isinstance(embedder, OpenAIEmbedderConfig):
        return
    provider = providers.get(embedder.provider)
    if provider is None:
        what = f"there is no such provider.{suggest(embedder.provider, providers)}"
        document.report(("embedder", "provider"), what)
    elif not isinstance(provider, OpenAIConfig | SimulatedConfig):
        document.report(("embedder", "provider"), "only one of kind openai makes vectors.")


def check_models(
    document: Document,
    models: Mapping[str, Model],
    aliases: Mapping[str, str],
    providers: Collection[str] | None,
) -> None:
    """Report names that lead nowhere. `providers` is None when they could not be read."""
    there = {*models, *(document.names("models") or ())}  # also those that do not fit
    for name, model in models.items():
        if providers is not None and model.provider not in providers:
            what = f"gateway.yaml has no such provider.{suggest(model.provider, providers)}"
            document.report(("models", name, "provider"), what, alone=True)
        if model.price is None:
            what = "has no price, so what it costs is unknown. Add `price` from your contract."
            document.report(("models", name), what, "warning")
    for alias, name in aliases.items():
        if alias in models:
            document.report(("aliases", alias), "a model has this name already.")
        if name not in there:
            document.report(("aliases", alias), f"there is no such model.{suggest(name, there)}")
