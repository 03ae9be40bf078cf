"""What providers that speak HTTP share: one origin, checked answers, primed streams, a warm-up."""

import re
from collections.abc import Mapping
from typing import Any, Final

from gateway.core import wire
from gateway.core.chat import ChatRequest, Dialect, Endpoint
from gateway.core.errors import UpstreamAnswered, UpstreamError
from gateway.core.meter import StreamCodec
from gateway.core.ports import Call, Runtime, Task
from gateway.core.reply import Answered, Stream
from gateway.providers.base import Warmup
from gateway.providers.streaming import OK, open_stream, refuse, require_json
from gateway.providers.transport.client import Response, Transport

_REQUEST_ID: Final = re.compile(r"[\x21-\x5b\x5d-\x7e]{1,128}")  # no backslash: nothing is escaped
_NO_HEADERS: Final[Mapping[str, str]] = {}


class Upstream:
    """One configured origin that speaks `dialect`. `id_header` is where it names its requests."""

    def __init__(
        self,
        name: str,
        transport: Transport,
        runtime: Runtime,
        *,
        dialect: Dialect,
        first_byte: float,
    ) -> None:
        """`first_byte` is how many seconds a stream may take to begin."""
        self.name = name
        self.transport = transport
        self.runtime = runtime
        self._dialect = dialect
        self._id_header = "request-id" if dialect == "anthropic" else "x-request-id"
        self._first_byte = first_byte
        self._keeper: Task | None = None

    def mask(self, error: UpstreamAnswered) -> None:
        """Take our own secrets out of an upstream's error before anybody sees it."""
        error.body = self.transport.redact(error.body)

    async def ask(
        self,
        request: ChatRequest,
        path: str,
        deadline: float,
        *,
        first_token: float | None = None,
        headers: Mapping[str, str] = _NO_HEADERS,
    ) -> Response:
        """Return a 2xx response. Raises UpstreamError for any other.

        A stream that has not begun after `first_token` seconds is given up.
        """
        patience = self._first_byte if request.stream else None
        due = deadline
        if patience is not None and first_token is not None:
            patience = min(patience, first_token)
            due = min(deadline, self.runtime.clock.monotonic() + first_token)
        response = await self.transport.request(
            "POST",
            path,
            request.body,
            headers=headers,
            deadline=deadline,
            first_byte=patience,
        )
        if response.status not in OK:
            try:
                await refuse(response, self._dialect, self.runtime)
            except UpstreamError as error:
                error.request_id = self._id_of(response)
                error.detail = f"{error.detail} to POST {self.transport.target(path)}"
                raise
        if due < deadline:
            response.bound(due, "upstream_first_byte_timeout")
        return response

    async def read(self, response: Response) -> bytes:
        """Return a whole answer's JSON without our own secrets. Raises UpstreamBroken."""
        require_json(response)
        return self.transport.mask(await response.read())

    async def stream(
        self, response: Response, codec: StreamCodec, call: Call, answered: Answered
    ) -> Stream:
        """Return the primed stream of a 2xx response, within the time for its first token."""
        stream = await open_stream(
            response,
            codec,
            dialect=call.request.dialect,
            answered=answered,
            secrets=self.transport,
        )
        response.bound(call.deadline)
        return stream

    def answered(self, call: Call, response: Response, dropped: tuple[str, ...] = ()) -> Answered:
        """Return who answered."""
        return Answered(self.name, call.target.model.name, self._id_of(response), dropped)

    def _id_of(self, response: Response) -> str:
        """Return the provider's name for the request; what could be more than an id is left out."""
        said = response.header(self._id_header)
        if said and (not _REQUEST_ID.fullmatch(said) or self.transport.reveals(said)):
            return ""
        return said

    async def warm(
        self,
        warmup: Warmup | None,
        endpoint: Endpoint,
        path: str,
        codec: StreamCodec,
        *,
        headers: Mapping[str, str] = _NO_HEADERS,
    ) -> None:
        """Send the warm-up prompt until its first token, then open and keep connections."""
        if warmup is None:
            return
        if warmup.prompt and warmup.model:
            fields: dict[str, Any] = {
                "model": warmup.model,
                "messages": [{"role": "user", "content": warmup.prompt}],
                "stream": True,
            }
            if self._dialect == "anthropic":
                fields["max_tokens"] = (
                    16  # Anthropic requires a limit; newer OpenAI models refuse it
                )
            request = ChatRequest(endpoint, wire.encode(fields), fields, warmup.model, stream=True)
            deadline = self.runtime.clock.monotonic() + warmup.timeout
            stream = await open_stream(
                await self.ask(request, path, deadline, headers=headers),
                codec,
                dialect=self._dialect,
                answered=Answered(),
                secrets=self.transport,
            )
            await stream.blocks.aclose()
        self._keep_warm(warmup.connections)
        await self.transport.warm(warmup.connections)

    def _keep_warm(self, connections: int) -> None:
        if connections and self._keeper is None:
            work = self.transport.keep_warm(connections)
            self._keeper = self.runtime.spawn(f"keep {self.name} warm", work)

    async def aclose(self) -> None:
        """Close every connection."""
        if self._keeper is not None:
            self._keeper.cancel()
        await self.transport.aclose()
