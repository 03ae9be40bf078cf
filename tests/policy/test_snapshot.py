"""A snapshot names its content and holds chains that are ready to run."""

import pytest

from gateway.core.catalogue import Catalogue, Model
from gateway.core.chat import parse_request
from gateway.core.errors import InternalError
from gateway.core.exchange import Caller, Exchange
from gateway.core.notes import Notes
from gateway.core.ports import Call, Tools
from gateway.core.reply import Reply, Whole
from gateway.policy.load import Policy
from gateway.policy.snapshot import Holder, build_snapshot, fingerprint
from gateway.stages.relay import RelayPolicy
from tests.fakes.runtime import make_runtime

WHOLE = Whole(b"{}")


class Answers:
    async def send(self, _call: Call, /) -> Reply:
        return WHOLE

    async def warm(self) -> None: ...

    async def aclose(self) -> None: ...


def tools() -> Tools:
    return Tools(
        runtime=make_runtime(),
        providers={"p": Answers()},
        catalogue=Catalogue(models={"m": Model(provider="p", name="m")}),
    )


def exchange() -> Exchange:
    request = parse_request("chat", b'{"model":"m","messages":[{"role":"user","content":"hi"}]}')
    return Exchange(id="req-1", caller=Caller(), request=request, deadline=2_000.0, notes=Notes())


async def test_a_chain_answers_through_its_stages() -> None:
    policies = {"default": Policy(name="default", pipeline=(RelayPolicy(),))}
    holder = Holder(build_snapshot(policies, tools()))
    assert await holder.current.chains["default"](exchange()) is WHOLE
    assert holder.current.policies == policies


async def test_a_chain_that_nobody_answers_is_our_fault() -> None:
    snapshot = build_snapshot({"default": Policy(name="default", pipeline=())}, tools())
    with pytest.raises(InternalError, match="no stage answered"):
        await snapshot.chains["default"](exchange())


def test_the_version_depends_on_content_alone() -> None:
    direct = Policy(name="a", pipeline=(RelayPolicy(),))
    other = Policy(name="b", pipeline=(RelayPolicy(mode="buffered"),))
    version = fingerprint({"a": direct, "b": other})
    assert version == fingerprint({"b": other, "a": direct})
    assert len(version) == 12
    assert version != fingerprint({"a": direct})
    assert version != fingerprint({"a": direct, "b": Policy(name="b", pipeline=(RelayPolicy(),))})
