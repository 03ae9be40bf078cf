"""What the door is given."""

from tests.fakes.service import FakeChain, make_service


def test_a_sign_of_life_comes_every_15_seconds_unless_said_otherwise() -> None:
    assert make_service(FakeChain(), []).keepalive == 15.0
    assert make_service(FakeChain(), [], keepalive=2.0).keepalive == 2.0
