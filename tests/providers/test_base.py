"""What every provider block shares."""

import pytest

from gateway.core import wire
from gateway.providers.base import ProviderConfig, Warmup
from tests.fakes.runtime import make_runtime


def test_a_provider_is_usable_unless_it_says_otherwise() -> None:
    assert ProviderConfig().unusable() == ""


@pytest.mark.parametrize(("given", "missing"), [("prompt", "model"), ("model", "prompt")])
def test_a_warmup_that_would_send_nothing_is_told(given: str, missing: str) -> None:
    warmup = Warmup(prompt="x") if given == "prompt" else Warmup(model="x")
    config = ProviderConfig(warmup=warmup)
    assert list(config.check()) == [
        (("warmup", given), f"nothing is sent without a `{missing}` too.")
    ]
    assert not list(ProviderConfig(warmup=Warmup(prompt="hi", model="m")).check())


def test_a_kind_without_behaviour_cannot_be_built() -> None:
    with pytest.raises(NotImplementedError):
        ProviderConfig().build("name", make_runtime())


@pytest.mark.parametrize("text", [b'{"timeout":0}', b'{"connections":-1}', b'{"promt":"Hi"}'])
def test_a_warmup_block_is_read_strictly(text: bytes) -> None:
    with pytest.raises(ValueError, match="another shape"):
        wire.decode_as(text, Warmup)
