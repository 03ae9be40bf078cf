"""Who is calling."""

import pytest
from multidict import CIMultiDict

from gateway.core.errors import BadRequest, Forbidden, GatewayError, Unauthenticated
from gateway.core.exchange import Caller
from gateway.core.secret import Secret
from gateway.edge.identity import Identity, TooManyBadKeys

KEY = "tk-acme-0123456789"
CALLERS = {name: Caller(tenant=name) for name in ("acme", "local")}


def identity(**keys: str) -> Identity:
    return Identity({name: Secret(key, "test") for name, key in (keys or {"acme": KEY}).items()})


def refused(
    who: Identity, *headers: tuple[str, str], query: str = "", now: float = 0
) -> GatewayError:
    with pytest.raises(GatewayError) as caught:
        who.identify(CIMultiDict(headers), query, "10.0.0.1", now, CALLERS)
    return caught.value


@pytest.mark.parametrize(
    "header",
    [
        ("Authorization", f"Bearer {KEY}"),
        ("authorization", f"bearer  {KEY} "),
        ("x-api-key", KEY),
        ("X-API-Key", f" {KEY}"),
    ],
)
def test_each_accepted_header_names_the_same_caller(header: tuple[str, str]) -> None:
    """A05."""
    caller = identity().identify(CIMultiDict([header]), "", "10.0.0.1", 0, CALLERS)
    assert caller == Caller("acme", caller.fingerprint)
    assert len(bytes.fromhex(caller.fingerprint)) == 4
    assert caller.fingerprint not in KEY


def test_the_same_key_twice_in_both_headers_is_one_key() -> None:
    both = CIMultiDict([("authorization", f"Bearer {KEY}"), ("x-api-key", KEY)])
    assert identity().identify(both, "", "", 0, CALLERS).tenant == "acme"


@pytest.mark.parametrize(
    "headers",
    [
        [("authorization", f"Bearer {KEY}"), ("authorization", f"Bearer {KEY}")],
        [("authorization", f"Bearer {KEY}"), ("authorization", "Bearer other")],
        [("authorization", f"Bearer {KEY}"), ("x-api-key", "other")],
        [("authorization", f"Basic {KEY}"), ("x-api-key", KEY)],
        [("x-api-key", KEY), ("x-api-key", KEY)],
    ],
)
def test_two_credentials_are_refused(headers: list[tuple[str, str]]) -> None:
    """A04."""
    error = refused(identity(), *headers)
    assert isinstance(error, BadRequest)
    assert error.code == "duplicate_credential"


@pytest.mark.parametrize("header", [None, ("authorization", ""), ("authorization", f"Basic {KEY}")])
def test_no_key_is_told_apart_from_a_wrong_one(header: tuple[str, str] | None) -> None:
    """A01."""
    error = refused(identity(), *([header] if header else []))
    assert isinstance(error, Unauthenticated)
    assert error.code == "missing_key"


HOSTILE = ["' OR 1=1--", "a\0b", "k" * 8000, "schlüssel", "\udcff\udc80", KEY[:-1], KEY + "x"]


@pytest.mark.parametrize("key", HOSTILE)
def test_a_wrong_key_leaves_nothing_but_a_fingerprint(key: str) -> None:
    """A02, A03."""
    error = refused(identity(), ("x-api-key", key))
    assert isinstance(error, Unauthenticated)
    assert error.code == "invalid_key"
    assert error.public == "This API key is not valid."
    assert key not in error.detail
    assert len(error.detail) == len("key 01234567")


@pytest.mark.parametrize("name", ["key", "api_key", "API-KEY", "access%5Ftoken", "token"])
def test_a_key_in_the_url_is_refused_even_when_a_good_one_is_in_a_header(name: str) -> None:
    """A05."""
    error = refused(identity(), ("x-api-key", KEY), query=f"beta=true&{name}={KEY}")
    assert isinstance(error, Unauthenticated)
    assert KEY not in str(error) + error.detail


def test_other_queries_are_let_through() -> None:
    header = CIMultiDict([("x-api-key", KEY)])
    assert identity().identify(header, "beta=true&limit=5", "", 0, CALLERS).tenant == "acme"


def test_without_keys_everybody_is_the_local_tenant() -> None:
    caller = Identity({}).identify(CIMultiDict([("x-api-key", "any")]), "", "", 0, CALLERS)
    assert caller == Caller("local", "")


@pytest.mark.parametrize(
    "host",
    ["localhost", "LOCALHOST:8080", "app.localhost", "127.0.0.1:8080", "[::1]:8080", "[::1]"],
)
def test_without_keys_this_machines_own_names_are_served(host: str) -> None:
    caller = Identity({}).identify(CIMultiDict(host=host), "", "127.0.0.1", 0, CALLERS)
    assert caller.tenant == "local"


@pytest.mark.parametrize("host", ["evil.example", "evil.example:8080", "10.0.0.7", "", "::1"])
def test_without_keys_a_name_that_was_made_to_lead_here_is_refused(host: str) -> None:
    """DNS rebinding: a web page's own name, which suddenly means this machine."""
    with pytest.raises(Forbidden) as caught:
        Identity({}).identify(CIMultiDict(host=host), "", "127.0.0.1", 0, CALLERS)
    assert caught.value.code == "foreign_host"


def test_more_than_20_wrong_keys_a_minute_are_answered_429_and_a_good_key_still_works() -> None:
    """A13."""
    who = identity()
    statuses = [refused(who, ("x-api-key", f"guess {n}"), now=n).status for n in range(30)]
    assert statuses == [401] * 20 + [429] * 10
    error = refused(who, ("x-api-key", "guess"), now=30)
    assert isinstance(error, TooManyBadKeys)
    assert error.retry_after == 30
    assert (
        who.identify(CIMultiDict([("x-api-key", KEY)]), "", "10.0.0.1", 31, CALLERS).tenant
        == "acme"
    )
    assert refused(who, ("x-api-key", "guess"), now=61).status == 401


def test_addresses_are_counted_apart_and_an_ipv6_network_is_one_sender() -> None:
    """A13."""
    who = identity()

    def tries(address: str) -> int:
        with pytest.raises(GatewayError) as caught:
            who.identify(CIMultiDict([("x-api-key", "guess")]), "", address, 0, CALLERS)
        return caught.value.status

    assert [tries(f"2001:db8::{n:x}") for n in range(21)] == [401] * 20 + [429]
    assert tries("2001:db8:1::1") == 401
    assert tries("::ffff:10.0.0.1") == 401
    assert tries("") == 401
    assert tries("fe80::1%eth0") == 401


def test_the_table_of_senders_is_bounded() -> None:
    """A13."""
    who = identity()
    for n in range(5000):
        refused_from = f"10.{n >> 16}.{n >> 8 & 255}.{n & 255}"
        with pytest.raises(Unauthenticated):
            who.identify(CIMultiDict([("x-api-key", "guess")]), "", refused_from, 0, CALLERS)
    assert len(who._tries) == 4096


def test_h03_the_key_of_a_tenant_that_is_gone_is_a_wrong_key() -> None:
    who, header = identity(), CIMultiDict([("x-api-key", KEY)])
    assert who.identify(header, "", "", 0, CALLERS).tenant == "acme"
    with pytest.raises(Unauthenticated) as caught:
        who.identify(header, "", "", 0, {"other": Caller(tenant="other")})
    assert caught.value.public == "This API key is not valid."
    again = {"acme": Caller(tenant="acme", policy="research")}
    assert who.identify(header, "", "", 0, again).policy == "research"
