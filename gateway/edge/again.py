"""Requests that nobody waits for, made on a caller's behalf: limited, charged and logged as any."""

import asyncio
from typing import Any, Final

from msgspec.structs import replace

from gateway.core.errors import Draining, GatewayError
from gateway.core.exchange import Exchange
from gateway.core.notes import Notes
from gateway.core.outcome import Outcome, gather
from gateway.core.reply import Reply, Stream
from gateway.edge.render import status_of
from gateway.edge.routes import path_of
from gateway.edge.service import Service

_OK: Final = 200
_REQUEST: Final = "req-"
_AUDIT: Final = "audit-"
"""What ids of audits begin with, in the log and in the ledger."""


class Again:
    """Sends a request through the policy of its caller as it is now."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._running: set[asyncio.Task[Any]] = set()
        self._closed = False

    async def close(self) -> None:
        """Cut what still runs and wait until it is reported, while there is a ledger to tell."""
        self._closed = True
        running = list(self._running)
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)

    async def __call__(self, exchange: Exchange) -> None:
        """Return when the answer is complete. What failed is reported, and never raised.

        Once this process is going away nothing is asked any more.
        """
        service = self._service
        going = self._closed or service.readiness.draining
        if going or exchange.policy not in service.holder.current.chains:
            return
        runtime, snapshot = service.runtime, service.holder.take()
        started, name = runtime.clock.monotonic(), runtime.new_id()
        own = replace(
            exchange,
            id=name if exchange.audit is None else _AUDIT + name.removeprefix(_REQUEST),
            notes=Notes(),
            deadline=started + service.limits.request,
            version=snapshot.answers.get((exchange.policy, exchange.request.stream), ""),
            route=None,
        )
        failure: GatewayError | None = None
        task = asyncio.current_task()
        if task is not None:
            self._running.add(task)
            task.add_done_callback(self._running.discard)
        try:
            await _to_its_end(await snapshot.chains[exchange.policy](own))
        except GatewayError as error:
            failure = error
        except asyncio.CancelledError:
            failure = Draining("This server is going away.")
            raise
        finally:
            service.holder.give_back(snapshot)
            service.report(self._outcome(own, started, failure))

    def _outcome(self, own: Exchange, started: float, failure: GatewayError | None) -> Outcome:
        request = own.request
        return Outcome(
            id=own.id,
            endpoint=path_of(request.endpoint),
            caller=own.caller,
            policy=own.policy,
            model=request.model,
            stream=request.stream,
            status=_OK if failure is None else status_of(failure, request.dialect),
            started=started,
            ended=self._service.runtime.clock.monotonic(),
            first_byte=None,
            received=len(request.body),
            sent=0,
            facts=gather(own.notes),
            code="" if failure is None else failure.code,
            fault=None if failure is None else failure.fault,
            detail="" if failure is None else failure.detail,
            address=own.address,
        )


async def _to_its_end(reply: Reply) -> None:
    """Read a stream that nobody reads."""
    if isinstance(reply, Stream):
        try:
            async for _ in reply.blocks:
                pass
        finally:
            await reply.blocks.aclose()
