"""A call that outlives whoever began it, as long as somebody waits for what comes of it."""

import asyncio

from msgspec.structs import replace

from gateway.core.errors import GatewayError, InternalError
from gateway.core.exchange import Exchange
from gateway.core.notes import Notes
from gateway.core.ports import Runtime
from gateway.core.reply import Reply, Whole
from gateway.core.stage import Next


class Call:
    """One request sent on in a task of its own, with notes of its own until somebody pays."""

    def __init__(self, runtime: Runtime, exchange: Exchange, proceed: Next, began: float) -> None:
        """`began` is the epoch time of it."""
        self.began = began
        self.notes = Notes()
        self._over: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._reply: Reply | BaseException | None = None
        own = replace(exchange, notes=self.notes)
        self._task = runtime.spawn("answer for all who wait", self._work(own, proceed))

    async def _work(self, exchange: Exchange, proceed: Next) -> None:
        try:
            self._reply = await proceed(exchange)
        except GatewayError as error:
            self._reply = error.again()  # an equal one, which holds no frames
        except (Exception, asyncio.CancelledError) as error:  # noqa: BLE001 - whoever leads gets it
            self._reply = error
        finally:
            if not self._over.done():
                self._over.set_result(None)

    async def over(self) -> None:
        """Return when it is answered or has failed. Who is cancelled meanwhile does not end it."""
        await asyncio.shield(self._over)

    async def cancel(self) -> None:
        """End it, and return when it has ended."""
        self.abandon()
        await self.over()

    def abandon(self) -> None:
        """End it soon."""
        self._task.cancel()

    def pay(self, exchange: Exchange) -> None:
        """Leave in this exchange's notes what the call has left behind."""
        for note in self.notes:
            exchange.notes.add(note)
        exchange.notes.several = exchange.notes.several or self.notes.several

    def reply(self) -> Whole:
        """Return the answer. Raises what it failed with."""
        reply = self._reply
        if isinstance(reply, GatewayError):
            raise reply.again()
        if isinstance(reply, Exception):
            raise reply  # as it is: the log says where
        if not isinstance(reply, Whole):
            detail = f"{type(reply).__name__} in place of an answer"
            raise InternalError("The gateway failed.", detail=detail)
        return reply
