"""A semantic cache whose hits are audited, and a provider that says what a test tells it."""

import json
from collections.abc import Mapping
from typing import Any

from msgspec.structs import replace

from gateway.core.hit_budget import Group, Standing
from gateway.core.ports import Call
from gateway.core.reply import Reply
from gateway.stages.semantic_cache.lookup import SemanticPolicy
from tests.fakes.cached import ANSWER, CachedHouse, GatedProvider, said
from tests.fakes.clock import FakeClock, settle
from tests.fakes.near import FigureGates, ListIndex, WordEmbedder

FIRST = "What is the capital of France?"
NEAR = "France is the capital of what?"


def answer(text: str | None, **choice: Any) -> bytes:
    message = {"role": "assistant", "content": text}
    fields = {"index": 0, "message": message, "finish_reason": "stop", **choice}
    return json.dumps({**ANSWER, "choices": [fields]}).encode()


class Voices(GatedProvider):
    """Says one thing after the other, then the last of them again; the judge has a voice too."""

    def __init__(self, clock: FakeClock) -> None:
        super().__init__(clock)
        self.says: list[bytes] = [answer("Paris.")]
        self.judge = answer("A")

    async def send(self, call: Call, /) -> Reply:
        if call.target.model.name == "dear":
            self.body = self.judge
        else:
            self.body = self.says.pop(0) if len(self.says) > 1 else self.says[0]
        return await super().send(call)


class AuditedHouse(CachedHouse):
    """`rate` is the share of hits that is audited: all of them, if nothing is said."""

    def __init__(self, **semantic: Any) -> None:
        self.semantic = SemanticPolicy(**{"audit_rate": 1.0, **semantic})
        self.embedder, self.index = WordEmbedder(), ListIndex()
        super().__init__(
            embedder=self.embedder,
            index=self.index,
            gates=FigureGates(),
            audited=True,
            semantic=self.semantic,
        )
        self.voices = Voices(self.clock)
        self.tools = replace(self.tools, providers={"acme": self.voices})
        self.provider = self.voices
        self.use(semantic=self.semantic)

    async def hit(self, *says: str, text: str = NEAR, **more: Any) -> str:
        """Ask, ask something alike, let the audit end, and say what the second question met."""
        self.voices.says = [answer(each) for each in says] or self.voices.says
        await self.whole(messages=said(FIRST))
        await settle()
        await self.ask(messages=said(text), **more)
        result = f"{self.cached.result} {self.cached.reason}".strip()
        await self.quiet()
        return result

    async def quiet(self) -> None:
        """Let everything end that nobody waits for."""
        await settle(60)
        await self.audits.flush()

    @property
    def group(self) -> Group:
        return Group("alice", "default", "fast", self.semantic.terms)

    @property
    def standing(self) -> Standing:
        return self.audits.standing(self.group)

    @property
    def found(self) -> Mapping[str, int]:
        """What audits came to."""
        return {what: n for (kind, what), n in self.cache.events.items() if kind == "audit"}
