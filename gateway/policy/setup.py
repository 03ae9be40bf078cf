"""Everything the YAML says, decoded and cross-checked without opening anything."""

from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Generic, TypeVar

from msgspec import Meta, Struct
from msgspec.structs import replace

from gateway.core.catalogue import Catalogue, Model, Price
from gateway.documents import Diagnostic, Document, Invalid, load_document, warnings_of
from gateway.policy.check import (
    check_embedder,
    check_keys,
    check_models,
    check_pepper,
    check_providers,
    check_state,
)
from gateway.policy.load import Rules, load_rules
from gateway.policy.tenants import Known
from gateway.policy.watch import Folder, look
from gateway.providers import AnyProvider
from gateway.providers.embedder import EmbedderProviderConfig
from gateway.semantic import AnyEmbedder
from gateway.semantic.minilm.embedder import MiniLMConfig
from gateway.settings import Name, Settings, address_problems
from gateway.state import AnyState
from gateway.state.sqlite import SqliteConfig

T = TypeVar("T")


class GatewayFile(Settings, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`config/gateway.yaml`: how the process runs. Read at start; a change needs a restart."""

    providers: Annotated[
        Mapping[Name, AnyProvider], Meta(description="Provider name -> where and how to call it.")
    ] = {}
    state: Annotated[
        AnyState, Meta(description="Where limits, issued keys and the ledger are kept.")
    ] = SqliteConfig()
    embedder: Annotated[
        AnyEmbedder, Meta(description="What finds questions that mean the same, for the cache.")
    ] = MiniLMConfig()


class ModelsFile(Struct, frozen=True, forbid_unknown_fields=True):
    """`config/models.yaml`: the models that can be asked for."""

    models: Annotated[Mapping[str, Model], Meta(description="A model's name -> what it is.")]
    aliases: Annotated[
        Mapping[str, str], Meta(description="Another name -> the model that it stands for.")
    ] = {}


class _Loaded(Struct, Generic[T], frozen=True):
    document: Document
    content: T


class Folders(Struct, frozen=True):
    """Where the files are, and as they were when they were read."""

    config: Folder
    policies: Folder


class Setup(Struct, frozen=True, kw_only=True):
    """All configuration, valid as a whole. `rules` are what a reload replaces."""

    settings: Settings
    providers: Mapping[str, AnyProvider]
    catalogue: Catalogue
    state: AnyState
    embedder: AnyEmbedder
    rules: Rules
    reload: Callable[[], Rules]
    """Reads the policies again. Raises Invalid with every problem of every file."""
    folders: Folders
    warnings: tuple[Diagnostic, ...] = ()
    """What was hardly meant in the files of config/."""


def load_setup(
    config: Path,
    policies: Path,
    environment: Mapping[str, str],
    addresses: Mapping[str, str] = MappingProxyType({}),
) -> Setup:
    """Read both folders. Raises Invalid with every problem of every file.

    `addresses` may hold `listen` and `admin` from the command line, which win over the file.
    """
    folders = Folders(look(config), look(policies))
    problems: list[Diagnostic] = []
    gateway = _read(config / "gateway.yaml", GatewayFile, environment, problems)
    models = _read(config / "models.yaml", ModelsFile, environment, problems)
    settings = replace(gateway.content, **addresses) if gateway else GatewayFile()
    if gateway:
        problems += _check_addresses(gateway.document, settings, addresses)
        _check_blocks(gateway.document, settings)
    known = _known(gateway, models, settings)
    if models:
        file = models.content
        check_models(models.document, file.models, file.aliases, known.providers)
    problems += gateway.document.problems if gateway else ()
    problems += models.document.problems if models else ()

    def reload() -> Rules:
        return load_rules(policies, known, environment)

    try:
        rules = reload()
    except Invalid as error:
        raise Invalid([*problems, *error.problems]) from error
    return Setup(
        settings=settings,
        providers=settings.providers,
        catalogue=known.catalogue,
        state=settings.state,
        embedder=settings.embedder,
        rules=rules,
        reload=reload,
        folders=folders,
        warnings=warnings_of(problems),
    )


def _read(
    path: Path, shape: type[T], environment: Mapping[str, str], problems: list[Diagnostic]
) -> "_Loaded[T] | None":
    """Return what can be read of the file, or None after adding what is wrong to `problems`."""
    try:
        document = load_document(path, environment)
    except Invalid as error:
        problems += error.problems
        return None
    content = document.convert(shape)
    if content is None:
        problems += document.problems
        return None
    return _Loaded(document=document, content=content)


def _known(
    gateway: _Loaded[GatewayFile] | None, models: _Loaded[ModelsFile] | None, settings: GatewayFile
) -> Known:
    """Return what policies may refer to, as far as the files of config/ could be read."""
    keys = gateway.document.names("keys") if gateway else None
    return Known(
        catalogue=_catalogue(models, settings) if models else Catalogue(models={}),
        keys=tuple(keys or ()),
        key_required=settings.require_key,
        providers=gateway.document.names("providers") if gateway and keys is not None else None,
        kinds={name: config.kind for name, config in settings.providers.items()},
        readable=models is not None,
        marked=_marked(gateway),
        no_embedder=settings.embedder.unusable(),
    )


def _marked(gateway: _Loaded[GatewayFile] | None) -> frozenset[str] | None:
    """Return the providers that keep what is marked, None where not all could be read."""
    if gateway is None or gateway.document.lost(("providers",)):
        return None
    blocks = gateway.content.providers
    return frozenset(name for name, config in blocks.items() if config.keeps_marked_prompts)


def _check_blocks(document: Document, file: GatewayFile) -> None:
    check_keys(document, file)
    check_pepper(document, file, file.state)
    check_providers(document, file.providers)
    check_embedder(document, file.embedder, file.providers)
    check_state(document, file.state)


def _check_addresses(
    document: Document, settings: Settings, addresses: Mapping[str, str]
) -> list[Diagnostic]:
    given: list[Diagnostic] = []
    if document.lost():  # a key, or what makes an address safe, may be among it
        return given
    for field, what in address_problems(settings):
        if field in addresses:
            given.append(Diagnostic(f"--{field}", 0, what))
        else:
            document.report((field,), what)
    return given


def _catalogue(read: _Loaded[ModelsFile], settings: GatewayFile) -> Catalogue:
    """Return the models; one that does not fit is there by its name, so that nobody misses it."""
    file, document = read.content, read.document
    named = {*(document.names("models") or ()), *(document.names("aliases") or ())}
    models = {name: _able(name) for name in named - {*file.models, *file.aliases}}
    models |= {name: replace(model, name=name) for name, model in file.models.items()}
    reasons = {
        name: _cure(_source(config, settings).unusable())
        for name, config in settings.providers.items()
    }
    return Catalogue(
        models=models,
        aliases=file.aliases,
        unserved={
            name: reasons[model.provider]
            for name, model in models.items()
            if reasons.get(model.provider)
        },
    )


def _able(name: str) -> Model:
    """Return a model of which nothing bad can be said."""
    return Model(provider="", name=name, price=Price(input=0, output=0))


def _source(config: AnyProvider, settings: GatewayFile) -> AnyProvider | AnyEmbedder:
    """Return what a provider's models depend on: it alone, or the process's embedder."""
    return settings.embedder if isinstance(config, EmbedderProviderConfig) else config


def _cure(unusable: str) -> str:
    """Make a sentence of `set OPENAI_API_KEY`."""
    return f"{unusable[0].upper()}{unusable[1:]}, then restart." if unusable else ""
