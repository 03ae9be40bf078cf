"""`stage: complexity_router`: what its block says, and when it changes."""

from msgspec.structs import replace

from gateway.core.text_file import TextFile
from gateway.stages import AnyStage
from gateway.stages.complexity_router.artefact import encode_artefact
from gateway.stages.failover.policy import FailoverPolicy
from gateway.stages.failover.targets import TargetPolicy
from gateway.stages.names import Names, Problem
from tests.fakes.routed import CATALOGUE, policy
from tests.stages.complexity_router.test_scoring import NEIGHBOURS, artefact

NAMES = Names(catalogue=CATALOGUE)
FOLLOWS = FailoverPolicy(targets=(TargetPolicy(), TargetPolicy(model="haiku")))
FIXED = FailoverPolicy(targets=(TargetPolicy(model="haiku"),))


def test_its_names_are_auto_one_for_each_tier_and_the_operators() -> None:
    assert policy(aliases={"smart": "auto"}).named == {
        "turnout/auto": "auto",
        "turnout/fast": "fast",
        "turnout/balanced": "balanced",
        "turnout/complex": "complex",
        "smart": "auto",
    }


def test_the_headers_of_its_rules_are_read_too() -> None:
    rule = {"name": "r", "tier": "fast", "when": {"header": {"x-batch": "1"}}}
    block = policy(rules=[rule], when={"tools": False})
    assert [path for path, _ in block.conditions] == [("when",), ("rules", 0, "when")]
    assert block.reads == ("x-session-id",)


def test_a_good_artefact_is_taken_and_a_broken_one_is_an_error() -> None:
    text = encode_artefact(artefact(*NEIGHBOURS))
    good = replace(policy(), artefact=TextFile("router.json", text))
    assert list(good.check(NAMES)) == []
    (problem,) = replace(good, artefact=TextFile("router.json", text[:-9])).check(NAMES)
    assert problem.path == ("artefact",)
    assert problem.what.startswith("router.json: it is no artefact of `turnout router train`")
    other = encode_artefact(artefact(NEIGHBOURS[0]))
    assert list(replace(good, artefact=TextFile("router.json", other)).check(NAMES)) == [
        Problem(("artefact",), "it was not trained for haiku|sonnet.")
    ]


def placed(block: AnyStage, *above: AnyStage) -> list[str]:
    return [problem.what for problem in block.check_place(above)]


def test_it_stands_before_failover_which_begins_with_the_tier() -> None:
    assert placed(FOLLOWS, policy()) == placed(FIXED) == placed(policy()) == []
    (what,) = placed(policy(), FOLLOWS)
    assert what == "this does nothing behind `failover`, pipeline[0]. Move it up."
    (what,) = placed(FIXED, policy())
    assert what.startswith("no target follows the tier that pipeline[0] chooses. Put `- {}` first")
