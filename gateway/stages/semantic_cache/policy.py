"""`stage: semantic_cache` in a policy: its fields, and what its types cannot say."""

from collections.abc import Iterator
from typing import Annotated, ClassVar, Final, Literal

from msgspec import Meta

from gateway.core.cache import Cache
from gateway.core.ports import Tools
from gateway.core.stage import Stage
from gateway.documents import suggest
from gateway.stages.base import StagePolicy
from gateway.stages.names import Names, Problem
from gateway.stages.semantic_cache import evidence
from gateway.stages.semantic_cache.audit.auditor import Auditor
from gateway.stages.semantic_cache.audit.judge import Judge
from gateway.stages.semantic_cache.directives import HEADERS
from gateway.stages.semantic_cache.errand import Parts
from gateway.stages.semantic_cache.keeping import Keeper, Times
from gateway.stages.semantic_cache.lookup import Gates, Lookup, SemanticPolicy
from gateway.stages.semantic_cache.scope import Scopes
from gateway.stages.semantic_cache.stage import SemanticCache

GATES: Final[Gates] = evidence
"""What two questions must agree in, besides looking alike."""
Seconds = Annotated[float, Meta(ge=0, le=30 * 86_400)]


class SemanticCachePolicy(StagePolicy, frozen=True, tag="semantic_cache", kw_only=True):
    """Answer what was asked before from memory: the same request, or by leave a similar one."""

    reads: ClassVar[tuple[str, ...]] = HEADERS
    shapes_answers: ClassVar[bool] = False

    ttl: Annotated[
        Annotated[float, Meta(gt=0, le=30 * 86_400)],
        Meta(description="Seconds for which an answer is fresh."),
    ] = 86_400
    jitter: Annotated[
        float,
        Meta(ge=0, le=0.5, description="Part of `ttl` that chance takes off, against crowds."),
    ] = 0.1
    stale_while_revalidate: Annotated[
        Seconds,
        Meta(description="Seconds for which a stale answer is served while a new one is fetched."),
    ] = 0
    stale_if_error: Annotated[
        Seconds,
        Meta(description="Seconds for which a stale answer is served where providers fail."),
    ] = 0
    shared: Annotated[
        bool,
        Meta(
            description="true: tenants of this policy whose labels are equal get each other's"
            " answers. Only for questions that hold nothing of their own."
        ),
    ] = False
    epoch: Annotated[
        str, Meta(max_length=64, description="Another word here, and all that was stored is past.")
    ] = ""
    tags: Annotated[
        tuple[str, ...], Meta(max_length=16, description="By which entries can be purged.")
    ] = ()
    replay: Annotated[
        Literal["instant", "paced"],
        Meta(description="How a stored answer is streamed: at once, or as if it were written now."),
    ] = "instant"
    pace: Annotated[
        int, Meta(ge=1, le=10_000, description="Tokens a second, where `replay` is paced.")
    ] = 100
    lookup_timeout_ms: Annotated[
        int,
        Meta(ge=1, le=5_000, description="After so long a look-up is given up, and it is a miss."),
    ] = 50
    semantic: Annotated[
        SemanticPolicy | None,
        Meta(description="Also answer similar questions. Left out: only the same ones."),
    ] = None

    def check(self, names: Names) -> Iterator[Problem]:
        """Yield who would share answers, and what of `semantic` cannot be."""
        if self.shared and names.tenants is not None:
            yield from _sharers(names)
        if self.semantic is not None and names.no_embedder:
            what = f"without an embedder only equal questions are found: {names.no_embedder}."
            yield Problem(("semantic",), what, "warning")
        if self.semantic is not None and self.semantic.judge:
            yield from _unable(self.semantic.judge, names)

    def build(self, tools: Tools) -> Stage:
        """Return the stage."""
        return self.behind(GATES, tools)

    @property
    def embeds(self) -> bool:
        """Whether it looks for similar questions."""
        return self.semantic is not None

    def behind(self, gates: Gates | None, tools: Tools) -> Stage:
        """Return the stage behind these gates; without any nothing similar is ever served."""
        cache, runtime = tools.cache, tools.runtime
        if cache is None:
            raise LookupError("these tools have no cache")
        times = Times(self.ttl, self.jitter, self.stale_while_revalidate, self.stale_if_error)
        seconds = self.lookup_timeout_ms / 1000
        keeper = Keeper(cache, runtime, times, self.tags)
        parts = Parts(
            cache=cache,
            runtime=runtime,
            lookup=Lookup(cache, runtime.clock, seconds, self.semantic, gates),
            keeper=keeper,
            auditor=self._auditor(cache, tools, keeper),
            times=times,
            now=tools.state.limiter.now,
            pace=self.pace if self.replay == "paced" else None,
        )
        scopes = Scopes(cache.key, tools.catalogue, shared=self.shared, epoch=self.epoch)
        return SemanticCache(parts, scopes)

    def _auditor(self, cache: Cache, tools: Tools, keeper: Keeper) -> Auditor:
        semantic, now = self.semantic or SemanticPolicy(), tools.state.limiter.now
        return Auditor(
            *(cache, tools.runtime, keeper, now),
            terms=semantic.terms,
            rate=semantic.audit_rate,
            judge=Judge(tools, semantic.judge) if semantic.judge else None,
        )


def _unable(judge: str, names: Names) -> Iterator[Problem]:
    """Yield why this model cannot say whether two answers say the same."""
    catalogue, models = names.catalogue, list(names.models)
    model = catalogue.models.get(catalogue.aliases.get(judge, judge))
    if judge not in models:
        what = f"there is no such model.{suggest(judge, models)}"
        yield Problem(("semantic", "judge"), what)
    elif model is not None and "chat" not in model.endpoints:
        what = f"`{judge}` does not serve chat, so it can judge nothing. Name one that does."
        yield Problem(("semantic", "judge"), what)


def _sharers(names: Names) -> Iterator[Problem]:
    """Yield the tenants that get each other's answers."""
    crowds: dict[tuple[tuple[str, str], ...], list[str]] = {}
    for name, caller in (names.tenants or {}).items():
        if caller.policy == names.policy:
            crowds.setdefault(tuple(sorted(caller.labels.items())), []).append(name)
    for crowd in crowds.values():
        if len(crowd) > 1:
            what = f"{', '.join(sorted(crowd))} get each other's answers."
            yield Problem(("shared",), f"{what} Remove it unless that is meant.", "warning")
