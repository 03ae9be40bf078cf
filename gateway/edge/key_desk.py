"""Keys and tenants for operators: JSON in, JSON out."""

import asyncio
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from gateway.core import wire
from gateway.core.errors import BadRequest, StateUnavailable
from gateway.core.exchange import Caller
from gateway.edge.admin import AdminAnswer, AdminRequest, json_answer
from gateway.policy.issue import Issuer, Misfit, facts
from gateway.policy.snapshot import Holder
from gateway.policy.standings import Standings


class KeyDesk:
    """Answers for one process's store. No answer but that to `create` holds a key."""

    def __init__(self, issuer: Issuer, holder: Holder, standings: Standings) -> None:
        self._issuer = issuer
        self._holder = holder
        self._standings = standings

    async def keys(self, _request: AdminRequest) -> AdminAnswer:
        """Return every key that was ever issued, oldest first."""
        try:
            now, table = self._issuer.now(), await self._issuer.all()
        except StateUnavailable as error:
            return _unavailable(error)
        return json_answer({"keys": [facts(key, now) for key in table]})

    async def create(self, request: AdminRequest) -> AdminAnswer:
        """Issue a key: 201 with the key, 400 with the field at fault, 503 without a store."""
        try:
            issued = await self._issuer.create(wire.decode_object(request.body), request.actor)
        except BadRequest as error:
            return _refused(HTTPStatus.BAD_REQUEST, error.code, error.public)
        except Misfit as error:
            what = f"{error.field}: {error}" if error.field else str(error)
            return _refused(HTTPStatus.BAD_REQUEST, "invalid_field", what, error.field)
        except StateUnavailable as error:
            return _unavailable(error)
        kept = facts(issued.key, self._issuer.now())
        return json_answer({"key": issued.secret, **kept}, HTTPStatus.CREATED)

    async def revoke(self, request: AdminRequest) -> AdminAnswer:
        """Revoke a key: 200 with what is kept of it, 404 when there is none, 503 without a store.

        It is not let in any more, here at once and in other processes within a second.
        """
        try:
            key = await self._issuer.revoke(request.name, request.actor)
        except StateUnavailable as error:
            return _unavailable(error)
        if key is None:
            return _refused(HTTPStatus.NOT_FOUND, "key_not_found", "There is no key with this id.")
        return json_answer(facts(key, self._issuer.now()))

    async def tenants(self, _request: AdminRequest) -> AdminAnswer:
        """Return every tenant as its requests are treated now, and how its limits stand."""
        callers = self._holder.current.callers
        names = sorted(callers)
        limits = await asyncio.gather(*(self._standings.of(callers[name]) for name in names))
        told = {
            name: {**_tenant(callers[name]), "limits": each}
            for name, each in zip(names, limits, strict=True)
        }
        return json_answer({"tenants": told})


def _tenant(caller: Caller) -> Mapping[str, Any]:
    return {
        "policy": caller.policy,
        "labels": caller.labels,
        "models": None if caller.models is None else sorted(caller.models),
        "priority": caller.priority,
    }


def _refused(status: HTTPStatus, code: str, message: str, param: str = "") -> AdminAnswer:
    return json_answer(
        {"error": {"code": code, "message": message, **({"param": param} if param else {})}}, status
    )


def _unavailable(error: StateUnavailable) -> AdminAnswer:
    what = "The store cannot be reached, so nothing was changed. Keys stay as they were."
    message = f"{what} ({error.detail})" if error.detail else what
    return _refused(HTTPStatus.SERVICE_UNAVAILABLE, error.code, message)
