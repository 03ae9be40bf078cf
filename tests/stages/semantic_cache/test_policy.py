"""`stage: semantic_cache` as it is written."""

import msgspec
import pytest
from msgspec.structs import replace

from gateway.core.catalogue import Catalogue, Model
from gateway.core.exchange import Caller
from gateway.stages.names import Names
from gateway.stages.semantic_cache.lookup import SemanticPolicy
from gateway.stages.semantic_cache.policy import SemanticCachePolicy
from tests.fakes.cached import CachedHouse

TENANTS = {
    "a": Caller(tenant="a"),
    "b": Caller(tenant="b"),
    "c": Caller(tenant="c", labels={"team": "x"}),
    "d": Caller(tenant="d", policy="other"),
}
NAMES = Names(catalogue=Catalogue(models={}), tenants=TENANTS)


def test_who_would_share_answers_is_warned_of() -> None:
    (problem,) = SemanticCachePolicy(shared=True).check(NAMES)
    assert problem.severity == "warning"
    assert problem.what.startswith("a, b get each other's answers.")


def test_nobody_shares_without_being_told_to() -> None:
    assert not list(SemanticCachePolicy().check(NAMES))
    assert not list(SemanticCachePolicy(shared=True).check(replace(NAMES, tenants=None)))
    assert not list(SemanticCachePolicy(shared=True).check(replace(NAMES, policy="other")))


def test_who_wants_similar_questions_without_an_embedder_is_warned() -> None:
    names = replace(NAMES, no_embedder="choose another")
    assert not list(SemanticCachePolicy().check(names))
    (problem,) = SemanticCachePolicy(semantic=SemanticPolicy()).check(names)
    assert (problem.path, problem.severity) == (("semantic",), "warning")
    assert problem.what.endswith("only equal questions are found: choose another.")


def test_a_judge_that_nobody_serves_is_a_problem() -> None:
    names = replace(NAMES, catalogue=Catalogue(models={"small": Model(provider="acme")}))
    for judge in (None, "small"):
        policy = SemanticCachePolicy(semantic=SemanticPolicy(judge=judge))
        assert not list(policy.check(names))
    (problem,) = SemanticCachePolicy(semantic=SemanticPolicy(judge="smal")).check(names)
    assert problem.path == ("semantic", "judge")
    assert "small" in problem.what


def test_a_judge_that_cannot_speak_is_a_problem() -> None:
    vectors = Model(provider="acme", endpoints=("embeddings",))
    catalogue = Catalogue(models={"vectors": vectors}, aliases={"judge": "vectors"})
    for judge in ("vectors", "judge"):
        policy = SemanticCachePolicy(semantic=SemanticPolicy(judge=judge))
        (problem,) = policy.check(replace(NAMES, catalogue=catalogue))
        assert problem.path == ("semantic", "judge")
        assert problem.what.startswith(f"`{judge}` does not serve chat")


@pytest.mark.parametrize(
    "wrong",
    [
        {"max_false_hit_rate": 0},
        {"audit_rate": 1.1},
        {"start": "later"},
        {"judge": 3},
        {"audits": 0.1},
    ],
)
def test_what_cannot_be_meant_of_the_budget_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert(wrong, SemanticPolicy)


def test_it_reads_the_headers_by_which_requests_speak_to_caches() -> None:
    assert SemanticCachePolicy.reads == ("cache-control", "x-turnout-cache")


def test_tools_without_a_cache_build_none() -> None:
    tools = replace(CachedHouse().tools, cache=None)
    with pytest.raises(LookupError):
        SemanticCachePolicy().build(tools)


async def test_a_reload_forgets_nothing_and_a_new_epoch_everything() -> None:
    house = CachedHouse()
    await house.whole()
    house.use(ttl=60)
    await house.whole()
    assert house.result == ("hit-exact", "")
    house.use(epoch="2")
    await house.whole()
    assert house.result == ("miss", "")
