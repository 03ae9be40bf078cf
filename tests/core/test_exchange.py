"""An exchange is frozen: stages pass changed copies on."""

import pytest

from gateway.core.catalogue import Model, Target
from gateway.core.chat import parse_request
from gateway.core.errors import Forbidden
from gateway.core.exchange import Caller, Exchange, Route
from gateway.core.notes import Notes

REQUEST = parse_request("chat", b'{"model":"m","messages":[{"role":"user","content":"x"}]}')


def make() -> Exchange:
    return Exchange("req-1", Caller("acme", "0a1b2c3d"), REQUEST, 60.0, Notes())


def test_another_request_goes_into_a_copy_that_shares_the_notes() -> None:
    exchange = make()
    other = exchange.with_request(REQUEST.with_fields(model="n"))
    assert other.request.model == "n"
    assert exchange.request.model == "m"
    assert other.notes is exchange.notes
    assert (other.id, other.caller, other.deadline) == ("req-1", exchange.caller, 60.0)


def test_another_route_goes_into_a_copy() -> None:
    exchange = make()
    route = Route((Target(Model(provider="p", name="m")),), "asked for")
    assert exchange.with_route(route).route is route
    assert exchange.route is None


def test_nobody_changes_an_exchange_in_place() -> None:
    exchange = make()
    with pytest.raises(AttributeError):
        exchange.deadline = 0.0  # type: ignore[misc]  # the point of the test


def test_a_caller_may_use_what_is_on_its_list_exactly_as_it_is_written() -> None:
    caller = Caller("acme", models=frozenset({"small", "cheap"}))
    caller.check_model("cheap")
    for other in ("Small", "small ", "large", ""):
        with pytest.raises(Forbidden) as caught:
            caller.check_model(other)
        assert (caught.value.status, caught.value.code) == (403, "model_not_allowed")
        assert caught.value.param == "model"


def test_a_caller_without_a_list_may_ask_for_every_model() -> None:
    Caller("acme").check_model("anything")
