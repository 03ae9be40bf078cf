"""The seam of every stage: checks that find nothing, and a build that must be written."""

from random import Random

import pytest

from gateway.core.capacity import Capacity
from gateway.core.catalogue import Catalogue
from gateway.core.health import Health
from gateway.core.ports import Tools
from gateway.stages.base import StagePolicy
from gateway.stages.names import Names
from gateway.state.memory import memory_state
from tests.fakes.runtime import make_runtime


class BarePolicy(StagePolicy, frozen=True, tag="bare"):
    """A stage that adds nothing."""


def test_a_stage_without_checks_has_no_problems() -> None:
    assert list(BarePolicy().check(Names())) == []


def test_a_stage_without_behaviour_cannot_be_built() -> None:

    runtime = make_runtime()
    catalogue, state = Catalogue(models={}), memory_state(runtime.clock)
    tools = Tools(
        runtime=runtime,
        providers={},
        catalogue=catalogue,
        state=state,
        health=Health(Random(0)),
        capacity=Capacity(runtime.clock, runtime.random),
    )
    with pytest.raises(NotImplementedError):
        BarePolicy().build(tools)
