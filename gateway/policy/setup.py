"""Everything the YAML says, decoded and cross-checked without opening anything."""

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Generic, TypeVar

from msgspec import Meta, Struct
from msgspec.structs import replace

from gateway.core.catalogue import Catalogue, Model
from gateway.documents import Diagnostic, Document, Invalid, load_document
from gateway.policy.check import check_keys, check_models
from gateway.policy.load import Policy, load_policies
from gateway.providers import AnyProvider
from gateway.settings import Name, Settings, address_problems
from gateway.stages.base import Names
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


class ModelsFile(Struct, frozen=True, forbid_unknown_fields=True):
    """`config/models.yaml`: the models that can be asked for."""

    models: Annotated[Mapping[str, Model], Meta(description="A model's name -> what it is.")]
    aliases: Annotated[
        Mapping[str, str], Meta(description="Another name -> the model that it stands for.")
    ] = {}


class _Loaded(Struct, Generic[T], frozen=True):
    document: Document
    content: T


class Setup(Struct, frozen=True, kw_only=True):
    """All configuration, valid as a whole."""

    settings: Settings
    providers: Mapping[str, AnyProvider]
    catalogue: Catalogue
    policies: Mapping[str, Policy]
    state: AnyState


def load_setup(
    config: Path,
    policies: Path,
    environment: Mapping[str, str],
    addresses: Mapping[str, str] = MappingProxyType({}),
) -> Setup:
    """Read both folders. Raises Invalid with every problem of every file.

    `addresses` may hold `listen` and `admin` from the command line, which win over the file.
    """
    problems: list[Diagnostic] = []
    gateway = _read(config / "gateway.yaml", GatewayFile, environment, problems)
    models = _read(config / "models.yaml", ModelsFile, environment, problems)
    settings = replace(gateway.content, **addresses) if gateway else GatewayFile()
    if gateway:
        problems += _check_addresses(gateway.document, settings, addresses)
        check_keys(gateway.document, settings)
        for field, what in settings.state.problems():
            gateway.document.report(("state", field), what)
    if models:
        file = models.content
        known = settings.providers if gateway else None
        check_models(models.document, file.models, file.aliases, known)
    catalogue = _catalogue(models.content, settings.providers) if models else Catalogue(models={})
    loaded: Mapping[str, Policy] = {}
    try:
        loaded = load_policies(
            policies, Names(models={*catalogue.models, *catalogue.aliases}), environment
        )
    except Invalid as error:
        problems += error.problems
    problems += gateway.document.problems if gateway else ()
    problems += models.document.problems if models else ()
    if problems:
        raise Invalid(problems)
    return Setup(
        settings=settings,
        providers=settings.providers,
        catalogue=catalogue,
        policies=loaded,
        state=settings.state,
    )


def _read(
    path: Path, shape: type[T], environment: Mapping[str, str], problems: list[Diagnostic]
) -> "_Loaded[T] | None":
    """Return the file's content, or None after adding what is wrong to `problems`."""
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


def _check_addresses(
    document: Document, settings: Settings, addresses: Mapping[str, str]
) -> list[Diagnostic]:
    given = []
    for field, what in address_problems(settings):
        if field in addresses:
            given.append(Diagnostic(f"--{field}", 0, what))
        else:
            document.report((field,), what)
    return given


def _catalogue(file: ModelsFile, providers: Mapping[str, AnyProvider]) -> Catalogue:
    models = {name: replace(model, name=name) for name, model in file.models.items()}
    reasons = {name: _cure(config.unusable()) for name, config in providers.items()}
    return Catalogue(
        models=models,
        aliases=file.aliases,
        unserved={
            name: reasons[model.provider]
            for name, model in models.items()
            if reasons.get(model.provider)
        },
    )


def _cure(unusable: str) -> str:
    """Make a sentence of `set OPENAI_API_KEY`."""
    return f"{unusable[0].upper()}{unusable[1:]}, then restart." if unusable else ""
