"""The cache for operators: what is there, what shall be forgotten, and what was wrong."""

from collections import defaultdict
from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import Any, TypeVar

import msgspec
from msgspec import Struct, structs

from gateway.core import wire
from gateway.core.answers import Answer, Selection
from gateway.core.cache import Cache
from gateway.core.errors import BadRequest, StateUnavailable
from gateway.core.hit_budget import Group, Standing
from gateway.core.notes import CacheResult
from gateway.edge.admin import AdminAnswer, AdminRequest, json_answer
from gateway.policy.issue import Audit

T = TypeVar("T")


class Purge(Selection, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What shall be forgotten: the answers that fit every field that is named."""

    all: bool = False
    """Whether every answer is meant, where nothing is named."""
    dry_run: bool = False

    @property
    def selection(self) -> Selection:
        """The answers that are meant."""
        named = structs.asdict(self)
        return Selection(**{name: named[name] for name in Selection.__struct_fields__})


class Feedback(Struct, frozen=True, forbid_unknown_fields=True):
    """That a stored answer was wrong, by the id that `x-turnout-cache-id` showed."""

    id: str
    cache: CacheResult = "hit-semantic"
    """What `x-turnout-cache` showed: only a semantic hit says something of similar questions."""


class CacheDesk:
    """Answers for one process's cache. What it changes holds for all that share the store."""

    def __init__(self, cache: Cache, now: Callable[[], float], audit: Audit) -> None:
        self._cache = cache
        self._now = now
        self._audit = audit

    async def stats(self) -> Mapping[str, Any]:
        """Return what is at hand, what is in the store, and what happened."""
        cache = self._cache
        events: dict[str, dict[str, int]] = defaultdict(dict)
        for (kind, name), count in cache.events.items():
            events[kind][name or "all"] = count
        try:
            store: Any = [structs.asdict(each) for each in await cache.store.held()]
        except StateUnavailable as error:
            store = {"error": error.detail or error.public}
        return {
            "at_hand": {
                "answers": len(cache.shelf),
                "bytes": cache.shelf.size,
                "evictions": cache.shelf.evictions,
                "tenants": cache.shelf.sizes(),
            },
            "store": store,
            "events": events,
            "groups": [] if cache.audits is None else list(map(told_of, cache.audits.groups())),
        }

    async def purge(self, request: AdminRequest) -> AdminAnswer:
        """Forget answers: 200 with how many, 400 for no or a wrong selection, 503 without a store.

        Everywhere within a second, and from disk.
        """
        try:
            wanted = _read(request.body, Purge)
            which = wanted.selection
            if which == Selection() and not wanted.all:
                return _refused("Name what shall be forgotten, or say `all`.")
            if not wanted.dry_run:
                self._cache.purges.append((self._now(), which))
            removed = await self._cache.store.remove(which, dry_run=wanted.dry_run)
        except BadRequest as error:
            return _refused(error.public, error.code)
        except StateUnavailable as error:
            return _unavailable(error)
        if not wanted.dry_run:
            named = {name: value for name, value in structs.asdict(which).items() if value}
            self._audit("cache purged", actor=request.actor, selection=named, removed=removed)
        return json_answer({"removed": removed, "dry_run": wanted.dry_run})

    async def feedback(self, request: AdminRequest) -> AdminAnswer:
        """Forget an answer that was wrong, and count it: 404 when there is none with this id.

        One that was a semantic hit counts as a check of its group that was wrong.
        """
        try:
            told = _read(request.body, Feedback)
            which = Selection(id=told.id)
            answer = await self._find(which)
            await self._cache.store.remove(which)
        except BadRequest as error:
            return _refused(error.public, error.code)
        except StateUnavailable as error:
            return _unavailable(error)
        if answer is None:
            what = "There is no answer with this id."
            return _error(HTTPStatus.NOT_FOUND, "answer_not_found", what)
        self._cache.events["feedback", "wrong"] += 1
        audits = self._cache.audits
        if audits is not None and answer.vector and told.cache == "hit-semantic":
            audits.report(answer.tenant, answer.policy, answer.asked)
            await audits.flush()
        self._audit("an answer was wrong", actor=request.actor, id=answer.id, group=answer.group)
        return json_answer({"removed": 1, "group": answer.group})

    async def _find(self, which: Selection) -> Answer | None:
        """Return the one answer, also where it has not reached the store yet."""
        at_hand = self._cache.shelf.by_id(which.id or "", self._now())
        return at_hand or next(iter(await self._cache.store.find(which, most=1)), None)


def told_of(held: tuple[Group, Standing]) -> Mapping[str, Any]:
    """Return what is told of a group of similar questions and how it stands."""
    group, standing = held
    return {
        "tenant": group.tenant,
        "policy": group.policy,
        "asked": group.asked,
        "hits": group.hits,
        "checks": group.checked,
        "wrong": group.wrong,
        "counting": {"checks": standing.checked, "wrong": standing.wrong},
        "interval": [round(standing.lower, 5), round(standing.upper, 5)],
        "budget": group.terms.budget,
        "threshold": standing.threshold,
        "state": standing.state,
    }


def _read(body: bytes, shape: type[T]) -> T:
    """Return what an operator sent. Raises BadRequest saying where it does not fit."""
    try:
        return msgspec.convert(wire.decode_object(body), shape)
    except msgspec.ValidationError as error:
        raise BadRequest(f"{error}.", code="invalid_field") from error


def _refused(message: str, code: str = "invalid_field") -> AdminAnswer:
    return _error(HTTPStatus.BAD_REQUEST, code, message)


def _unavailable(error: StateUnavailable) -> AdminAnswer:
    what = "The store cannot be reached, so nothing was forgotten. Try again."
    return _error(HTTPStatus.SERVICE_UNAVAILABLE, error.code, what)


def _error(status: HTTPStatus, code: str, message: str) -> AdminAnswer:
    return json_answer({"error": {"code": code, "message": message}}, status)
