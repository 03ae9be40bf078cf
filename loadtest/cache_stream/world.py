"""One caller, a policy with a semantic cache, and a provider that knows every answer."""

import asyncio
import re
from collections.abc import Coroutine, Mapping, Sequence
from itertools import count
from pathlib import Path
from random import Random
from types import TracebackType
from typing import Any, Final, Self

from msgspec import Struct
from msgspec.structs import replace

from gateway.core import wire
from gateway.core.audits import Audits
from gateway.core.cache import open_cache
from gateway.core.capacity import Capacity
from gateway.core.catalogue import Catalogue, Model
from gateway.core.chat import parse_request
from gateway.core.embedding import Embedded
from gateway.core.errors import InternalError
from gateway.core.exchange import Caller, Exchange
from gateway.core.health import Health
from gateway.core.hit_budget import Group, Standing
from gateway.core.notes import Cached, Notes
from gateway.core.ports import Call, Runtime, Tools
from gateway.core.reply import Answered, Reply, Usage, Whole
from gateway.core.stage import compose
from gateway.semantic.index.index import Index
from gateway.semantic.minilm.embedder import MiniLMConfig
from gateway.stages.relay import RelayPolicy
from gateway.stages.semantic_cache.lookup import SemanticPolicy
from gateway.stages.semantic_cache.policy import SemanticCachePolicy
from gateway.state.answers_memory import MemoryAnswers
from gateway.state.memory import memory_state
from gateway.trial.clock import TrialClock
from loadtest.cache_stream.intents import Intent

MODEL: Final = "small"
JUDGE: Final = "judge"
NAMES: Final = (MODEL, JUDGE)
LIFE: Final = 500.0
"""Seconds for which an answer is kept, at a request a second."""
_FENCED: Final = re.compile(
    r"^(=====\w+) first answer\n(.*)\n\1 second answer\n(.*)\n\1 end$", re.MULTILINE
)


class Asked(Struct, frozen=True):
    """What became of one question."""

    result: str
    wrong: bool


class Knowing:
    """Each text is embedded once."""

    def __init__(self, runtime: Runtime, data: Path) -> None:
        self._inner = MiniLMConfig().build(runtime, data, {})
        self._known: dict[str, Embedded] = {}
        self.fingerprint = self._inner.fingerprint
        self.dimensions = self._inner.dimensions
        self.languages = self._inner.languages
        self.warm, self.aclose = self._inner.warm, self._inner.aclose

    async def embed(self, texts: Sequence[str], /) -> Sequence[Embedded]:
        """Return what is known of them, and find out the rest."""
        new = [text for text in texts if text not in self._known]
        self._known.update(zip(new, await self._inner.embed(new) if new else (), strict=True))
        return [self._known[text] for text in texts]


class Oracle:
    """Tells what a question asks for, in words of its mood, and judges without fail."""

    stands_in_for: frozenset[str] = frozenset()

    def __init__(self, intents: Sequence[Intent], random: Random) -> None:
        self.calls = 0
        self._random = random
        self._of = {question: each for each in intents for question in each.questions}
        self.by_answer = {answer: each.number for each in intents for answer in each.answers}

    async def send(self, call: Call, /) -> Reply:
        """Answer at once."""
        asked = call.request.fields["messages"][-1]["content"]
        if call.target.model.name == JUDGE:
            found = _FENCED.search(asked)
            one, other = (self.by_answer[found[n]] for n in (2, 3)) if found else (0, 1)
            text = "A" if one == other else "B"
        else:
            self.calls += 1
            text = self._random.choice(self._of[asked].answers)
        message = {"role": "assistant", "content": text}
        choice = {"index": 0, "message": message, "finish_reason": "stop"}
        whole = {"id": "c", "object": "chat.completion", "model": "m", "choices": [choice]}
        answered = Answered("oracle", call.target.model.name)
        return Whole(wire.encode(whole), usage=Usage(10, 10), answered=answered)

    async def warm(self) -> None:
        """Do nothing."""

    async def aclose(self) -> None:
        """Do nothing."""


class World:
    """Ask it one question after the other; a second passes between two."""

    def __init__(
        self, intents: Sequence[Intent], semantic: SemanticPolicy, data: Path, seed: int = 1
    ) -> None:
        self.random, self.clock = Random(seed), TrialClock(1_700_000_000.0)
        self._tasks: set[asyncio.Task[None]] = set()
        numbers = count(1)
        runtime = Runtime(
            clock=self.clock,
            random=self.random,
            new_id=lambda: f"req-{next(numbers)}",
            new_secret=lambda: f"{self.random.getrandbits(128):032x}",
            spawn=self._spawn,
        )
        self.oracle = Oracle(intents, self.random)
        self.embedder = Knowing(runtime, data)
        self.index = Index(self.embedder.dimensions, 1 << 28)
        plain = memory_state(self.clock)
        self._answers = MemoryAnswers(plain.limiter.now, 1 << 28)
        state = replace(plain, answers=self._answers)
        self.audits = Audits(state.audits, state.limiter.now)
        self.cache = open_cache(state.answers, b"stream", self.embedder, self.index, self.audits)
        tools = Tools(
            runtime=runtime,
            providers={"oracle": self.oracle},
            catalogue=Catalogue({name: Model(provider="oracle", name=name) for name in NAMES}),
            state=state,
            capacity=Capacity(self.clock, self.random),
            health=Health(self.random),
            cache=self.cache,
        )
        self._group = Group("local", "default", MODEL, semantic.terms)
        stages = [SemanticCachePolicy(ttl=LIFE, jitter=0.5, semantic=semantic), RelayPolicy()]
        self._chain = compose([stage.build(tools) for stage in stages], _nobody)
        self._new_id = runtime.new_id

    async def __aenter__(self) -> Self:
        await self.embedder.warm()
        await self.index.warm()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.embedder.aclose()
        await self.index.aclose()

    @property
    def standing(self) -> Standing:
        """How the one group stands."""
        return self.audits.standing(self._group)

    @property
    def events(self) -> Mapping[str, int]:
        """What audits came to."""
        return {what: n for (kind, what), n in self.cache.events.items() if kind == "audit"}

    async def ask(self, intent: Intent, question: str) -> Asked:
        """Ask, and let everything end that follows from it."""
        body = {"model": MODEL, "messages": [{"role": "user", "content": question}]}
        exchange = Exchange(
            id=self._new_id(),
            caller=Caller(),
            request=parse_request("chat", wire.encode(body)),
            deadline=self.clock.now + 60,
            notes=Notes(),
            again=self._again,
        )
        reply = await self._chain(exchange)
        cached = exchange.notes.last(Cached)
        if cached is None or not isinstance(reply, Whole):
            raise TypeError("no answer of a cache")
        text = wire.decode(reply.body)["choices"][0]["message"]["content"]
        await self._quiet()
        return Asked(cached.result, self.oracle.by_answer[text] != intent.number)

    async def _quiet(self) -> None:
        while self._tasks:
            await asyncio.gather(*self._tasks)
        await self.audits.flush()
        self._answers.sweep()
        self.clock.now += 1.0

    async def _again(self, exchange: Exchange) -> None:
        await self._chain(replace(exchange, id=self._new_id(), notes=Notes()))

    def _spawn(self, name: str, work: Coroutine[Any, Any, None], /) -> "asyncio.Task[None]":
        task = asyncio.get_running_loop().create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task


async def _nobody(_exchange: Exchange) -> Reply:
    raise InternalError("no stage answered")
