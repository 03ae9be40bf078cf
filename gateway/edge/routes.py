"""What is served where: plain look-ups, no patterns."""

from collections.abc import Mapping
from typing import Final, Literal
from urllib.parse import unquote

from msgspec import Struct

from gateway.core import wire
from gateway.core.catalogue import Catalogue, Model
from gateway.core.chat import DIALECTS, Dialect, Endpoint
from gateway.core.errors import MethodNotAllowed, NotFound, UnknownModel

OTHER: Final = "other"
_MODEL: Final = "/v1/models/"
_RELEASED: Final = 1_700_000_000
_RELEASED_TEXT: Final = "2023-11-14T22:13:20Z"

Entries = Mapping[str, Mapping[str, object]]
Page = Literal["models", "model", "livez", "readyz"]


class WrongMethod(MethodNotAllowed):
    """405: `allow` is what goes into the Allow header."""

    def __init__(self, method: Literal["GET", "POST"]) -> None:
        self.allow = "GET, HEAD" if method == "GET" else method
        super().__init__(f"Only {self.allow} is answered here.")


class Route(Struct, frozen=True):
    """One thing that can be asked for. `template` is its label in logs and metrics."""

    template: str
    method: Literal["GET", "POST"]
    endpoint: Endpoint | None = None
    """The kind of model request, None for our own pages."""
    page: Page | None = None

    @property
    def dialect(self) -> Dialect:
        """The dialect of its errors, where the request does not say otherwise."""
        return DIALECTS[self.endpoint] if self.endpoint else "openai"


_ROUTES: Final = (
    Route("/v1/chat/completions", "POST", "chat"),
    Route("/v1/completions", "POST", "completions"),
    Route("/v1/embeddings", "POST", "embeddings"),
    Route("/v1/messages", "POST", "messages"),
    Route("/v1/messages/count_tokens", "POST", "count_tokens"),
    Route("/v1/models", "GET", page="models"),
    Route("/livez", "GET", page="livez"),
    Route("/readyz", "GET", page="readyz"),
)
_ONE_MODEL: Final = Route("/v1/models/{id}", "GET", page="model")
ALL_ROUTES: Final = (*_ROUTES, _ONE_MODEL)
_BY_PATH: Final[Mapping[str, Route]] = {route.template: route for route in _ROUTES}


def path_of(endpoint: Endpoint) -> str:
    """Return where an endpoint is asked for."""
    return next(route.template for route in _ROUTES if route.endpoint == endpoint)


def find_route(path: str) -> Route:
    """Return the route of a raw path without its query. Raises NotFound."""
    route = _BY_PATH.get(path)
    if route is not None:
        return route
    if path.startswith(_MODEL) and len(path) > len(_MODEL):
        return _ONE_MODEL
    raise NotFound("There is nothing at this path. Model requests go to /v1/chat/completions.")


def check_method(route: Route, method: str) -> None:
    """Raise WrongMethod unless the route takes this method. HEAD is a GET without body."""
    if method != route.method and (method, route.method) != ("HEAD", "GET"):
        raise WrongMethod(route.method)


class ModelPages:
    """The model list and its entries in both dialects, written once: a catalogue never changes."""

    def __init__(self, catalogue: Catalogue) -> None:
        models = {name: catalogue.find(name).model for name in catalogue.served()}
        entries: dict[Dialect, Entries] = {
            "openai": {name: _openai_entry(name, model) for name, model in models.items()},
            "anthropic": {name: _anthropic_entry(name, model) for name, model in models.items()},
        }
        self._entries = entries
        self._lists = {dialect: _page(each, dialect) for dialect, each in entries.items()}

    def all(self, dialect: Dialect, allowed: frozenset[str] | None = None) -> bytes:
        """Return the list of all names, or of those in `allowed`; it is never paged."""
        if allowed is None:
            return self._lists[dialect]
        entries = self._entries[dialect]
        return _page({name: entries[name] for name in entries if name in allowed}, dialect)

    def one(self, path: str, dialect: Dialect, allowed: frozenset[str] | None = None) -> bytes:
        """Return the entry that a path names; ids may hold slashes. Raises UnknownModel."""
        name = unquote(path.removeprefix(_MODEL))
        entry = self._entries[dialect].get(name)
        if entry is None or (allowed is not None and name not in allowed):
            raise UnknownModel(
                "This model is not served here. GET /v1/models lists what is served.",
                param="model",
            )
        return wire.encode(entry)


def _page(entries: Entries, dialect: Dialect) -> bytes:
    names = list(entries)
    if dialect == "openai":
        return wire.encode({"object": "list", "data": list(entries.values())})
    return wire.encode(
        {
            "data": list(entries.values()),
            "has_more": False,
            "first_id": names[0] if names else None,
            "last_id": names[-1] if names else None,
        }
    )


def _openai_entry(name: str, model: Model) -> dict[str, object]:
    return {"id": name, "object": "model", "created": _RELEASED, "owned_by": model.provider}


def _anthropic_entry(name: str, model: Model) -> dict[str, object]:
    return {
        "type": "model",
        "id": name,
        "display_name": name,
        "created_at": _RELEASED_TEXT,
        "max_input_tokens": model.context,
        "max_tokens": model.max_output,
    }
