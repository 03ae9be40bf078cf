"""Every error says where it came from, what to answer, and whether another try may help."""

import inspect

import pytest

from gateway.core import errors
from gateway.core.errors import (
    AllProvidersDown,
    BadRequest,
    CallerError,
    GatewayError,
    InternalError,
    NotCached,
    Retry,
    StreamCut,
    UpstreamAnswered,
    UpstreamBroken,
    UpstreamBusy,
    UpstreamDenied,
    UpstreamError,
    UpstreamRefused,
    UpstreamTimeout,
)

ALL = [
    kind
    for _, kind in inspect.getmembers(errors, inspect.isclass)
    if issubclass(kind, GatewayError)
]


def make(kind: type[GatewayError]) -> GatewayError:
    return kind("Sorry.", status=429) if issubclass(kind, UpstreamAnswered) else kind("Sorry.")


@pytest.mark.parametrize("kind", ALL)
def test_the_family_tells_who_is_at_fault(kind: type[GatewayError]) -> None:
    if issubclass(kind, CallerError):
        assert make(kind).fault == "caller"
    elif issubclass(kind, UpstreamError):
        assert make(kind).fault == "upstream"
    else:
        assert make(kind).fault == "gateway"


@pytest.mark.parametrize("kind", ALL)
def test_statuses_fit_the_fault_and_codes_are_stable_names(kind: type[GatewayError]) -> None:
    error = make(kind)
    assert error.code.replace("_", "").isalpha()
    assert error.code == error.code.lower()
    assert 400 <= error.status <= 599
    # RFC 9111 has a status of a server for who would have nothing but a stored answer.
    fits = (error.status < 500) == (error.fault == "caller")
    assert fits or error.status == 429 or kind is NotCached


def test_only_an_upstream_error_is_ever_tried_again() -> None:
    tried = {kind for kind in ALL if make(kind).retry is not Retry.NEVER}
    elsewhere = {UpstreamError, UpstreamAnswered, UpstreamTimeout, UpstreamBroken, UpstreamDenied}
    assert tried == elsewhere | {UpstreamBusy, AllProvidersDown}
    assert all(make(kind).retry is Retry.OTHER for kind in elsewhere)
    assert UpstreamBusy.retry is Retry.SAME
    assert UpstreamRefused.retry is Retry.NEVER
    assert StreamCut.retry is Retry.NEVER


def test_the_log_gets_the_detail_and_the_caller_the_public_text() -> None:
    error = UpstreamBroken("The provider failed.", detail="reset by 10.0.0.7")
    assert str(error) == "reset by 10.0.0.7"
    assert error.public == "The provider failed."
    assert str(InternalError("Oops.")) == "Oops."


def test_code_status_param_and_wait_can_be_told() -> None:
    error = BadRequest("No.", code="invalid_json", status=422, param="messages", retry_after=2.5)
    assert (error.code, error.status, error.param) == ("invalid_json", 422, "messages")
    assert error.retry_after == 2.5
    plain = BadRequest("No.")
    assert (plain.code, plain.status, plain.param) == ("invalid_request", 400, None)
    assert BadRequest.code == "invalid_request", "the class stays as it was"


def test_an_upstreams_own_words_are_kept_with_their_dialect() -> None:
    error = UpstreamBusy("Later.", status=529, body=b"{}", dialect="anthropic", retry_after=3)
    assert (error.status, error.provider_status) == (529, 529)
    assert (error.body, error.dialect) == (b"{}", "anthropic")
    assert error.retry_after == 3
    assert UpstreamTimeout("x").provider_status == 0


def test_the_tree_in_the_docstring_names_every_error_with_its_status() -> None:
    tree = inspect.getdoc(errors) or ""
    for kind in ALL:
        if kind is not UpstreamAnswered:
            assert kind.__name__ in tree
        if issubclass(kind, CallerError) and kind is not CallerError:
            assert f"{kind.__name__} {kind.status}" in tree
