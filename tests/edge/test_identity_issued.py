"""Issued keys at the door: which are let in, as whom, from where and until when."""

import statistics
import time
from collections.abc import Mapping
from typing import Any

import pytest
from multidict import CIMultiDict

from gateway.core.errors import GatewayError, Unauthenticated
from gateway.core.exchange import Caller
from gateway.core.keys import digest_of, mark_of
from gateway.core.secret import Secret
from gateway.core.state import IssuedKey
from gateway.edge.identity import Identity

PEPPER = b"a pepper for these tests"
KEY = "tk-" + "k" * 32
OTHER = "tk-" + "o" * 32
CONFIGURED = "a-key-of-gateway.yaml"
CALLERS = {
    "acme": Caller(tenant="acme", policy="research", labels={"team": "ml", "site": "here"}),
    "local": Caller(),
}


def issued(secret: str = KEY, **more: Any) -> IssuedKey:
    digest = digest_of(secret, PEPPER)
    facts = {"tenant": "acme", "prefix": secret[:8], "created": 0.0, "pepper": mark_of(PEPPER)}
    return IssuedKey(**{"id": digest[:12], "digest": digest, **facts, **more})


class Door:
    """An identity with a wall clock that the test sets."""

    def __init__(self, *table: IssuedKey, keys: Mapping[str, str] | None = None) -> None:
        self.epoch = 1_000.0
        secrets = {name: Secret(key, "test") for name, key in (keys or {}).items()}
        self.identity = Identity(secrets, PEPPER, epoch=lambda: self.epoch)
        self.callers: Mapping[str, Caller] = CALLERS
        self.closed = True
        self.identity.know(table)

    def ask(
        self, key: str = KEY, *, header: str = "authorization", address: str = "", now: float = 0
    ) -> Caller:
        value = f"Bearer {key}" if header == "authorization" else key
        sent = CIMultiDict([(header, value)] if key else [])
        return self.identity.identify(sent, "", address, now, self.callers, closed=self.closed)

    def refused(self, key: str = KEY, address: str = "", now: float = 0) -> GatewayError:
        with pytest.raises(GatewayError) as caught:
            self.ask(key, address=address, now=now)
        return caught.value


@pytest.mark.parametrize("header", ["authorization", "x-api-key"])
def test_a05_an_issued_key_is_its_tenant_with_the_keys_own_labels(header: str) -> None:
    key = issued(labels={"team": "search", "app": "bot"})
    caller = Door(key).ask(header=header)
    assert (caller.tenant, caller.policy, caller.key) == ("acme", "research", key.id)
    assert caller.labels == {"team": "search", "site": "here", "app": "bot"}
    assert caller.fingerprint == key.id[:8]


def test_keys_of_gateway_yaml_work_beside_issued_ones_and_have_no_id() -> None:
    door = Door(issued(), keys={"acme": CONFIGURED})
    assert door.ask(CONFIGURED).key == ""
    assert door.ask(KEY).key == issued().id
    assert door.refused(OTHER).status == 401


def test_a02_wrong_revoked_expired_misplaced_and_homeless_keys_are_one_error() -> None:
    table = [
        issued("tk-revoked" + "r" * 25, revoked=5.0),
        issued("tk-expired" + "e" * 25, expires=999.0),
        issued("tk-misplaced" + "m" * 23, networks=("10.0.0.0/8",)),
        issued("tk-homeless" + "h" * 24, tenant="gone"),
        issued("tk-garbage" + "g" * 25, networks=("nowhere",)),
    ]
    door = Door(*table)
    tried = [key + fill * 25 for key, fill in (("tk-revoked", "r"), ("tk-expired", "e"))]
    tried += ["tk-misplaced" + "m" * 23, "tk-homeless" + "h" * 24, "tk-garbage" + "g" * 25, KEY]
    errors = [door.refused(key, address="192.0.2.1") for key in tried]
    said = {(type(e), e.status, e.code, e.public, e.param, e.retry_after) for e in errors}
    assert said == {(Unauthenticated, 401, "invalid_key", "This API key is not valid.", None, None)}
    assert len({error.detail for error in errors}) == len(tried)  # each its own fingerprint


@pytest.mark.long
def test_a02_a_revoked_key_takes_as_long_as_a_wrong_one() -> None:
    """Medians of interleaved tries; the catalogue allows 50 us."""
    door = Door(issued(revoked=5.0), issued(OTHER))
    took: dict[str, list[float]] = {KEY: [], "tk-" + "w" * 32: []}
    for turn in range(10_000):
        for key, times in took.items():
            sent = CIMultiDict([("x-api-key", key)])
            started = time.perf_counter()
            with pytest.raises(GatewayError):
                door.identity.identify(sent, "", f"10.0.{turn % 250}.1", 0, CALLERS)
            times.append(time.perf_counter() - started)
    one, other = (statistics.median(times) for times in took.values())
    assert abs(one - other) < 50e-6


def test_a_key_that_expires_is_over_at_its_moment_also_for_a_header_seen_before() -> None:
    door = Door(issued(expires=1_010.0))
    assert door.ask(now=50).tenant == "acme"
    door.epoch = 1_009.9
    assert door.ask(now=59.9).tenant == "acme"
    assert door.ask(now=59.95).tenant == "acme"
    door.epoch = 1_010.0
    assert door.refused(now=60.1).code == "invalid_key"


def test_a_header_seen_before_outlives_a_clock_that_was_set_by_a_second_at_most() -> None:
    door = Door(issued(expires=5_000.0))
    door.ask(now=50)
    door.epoch = 6_000.0
    assert door.ask(now=50.9).tenant == "acme"
    assert door.refused(now=51.0).status == 401


def test_a_revocation_holds_at_once_also_for_a_header_seen_before() -> None:
    door = Door(issued(), issued(OTHER))
    caller = door.ask()
    assert door.identity.admits(caller)
    door.identity.know([issued(revoked=1_000.0), issued(OTHER)])
    assert door.refused().status == 401
    assert not door.identity.admits(caller)
    assert door.ask(OTHER).tenant == "acme"


def test_a_key_that_is_over_is_still_admitted_for_what_it_began() -> None:
    door = Door(issued(expires=1_010.0))
    caller = door.ask()
    door.epoch = 2_000.0
    assert door.identity.admits(caller)


def test_who_follows_hears_of_every_table() -> None:
    door, heard = Door(), []
    door.identity.follow(lambda: heard.append(1))
    door.identity.know([issued()])
    assert heard == [1]


@pytest.mark.parametrize(
    ("address", "inside"),
    [
        ("10.1.2.3", True),
        ("::ffff:10.1.2.3", True),
        ("192.0.2.7", True),
        ("2001:db8::1", True),
        ("11.0.0.1", False),
        ("2001:db9::1", False),
        ("fe80::1%eth0", True),
        ("fe81::1%eth0", False),
        ("", False),
    ],
)
def test_a_key_with_networks_is_good_from_there_only(address: str, inside: bool) -> None:
    door = Door(issued(networks=("10.0.0.0/8", "192.0.2.7", "2001:db8::/32", "fe80::/16")))
    for _ in range(2):  # a header seen before is no way around it
        door.ask(address="10.0.0.1")
        if inside:
            assert door.ask(address=address).tenant == "acme"
        else:
            assert door.refused(address=address).status == 401


def test_without_a_tenants_file_a_key_names_a_plain_tenant() -> None:
    door = Door(issued(tenant="newcomer", labels={"team": "ml"}))
    assert door.refused().status == 401
    door.closed, door.callers = False, {"local": Caller()}
    caller = door.ask()
    assert (caller.tenant, caller.policy, caller.labels) == ("newcomer", "default", {"team": "ml"})


def test_everybody_is_local_until_the_first_key_and_never_again_after_it() -> None:
    door = Door()
    assert door.ask("").tenant == door.ask("anything").tenant == "local"
    door.identity.know([issued(revoked=5.0)])
    assert door.refused("").code == "missing_key"
    door.identity.know([])
    assert door.refused("").code == "missing_key"


def test_nobody_is_local_where_a_key_is_required() -> None:
    identity = Identity({}, PEPPER, required=True)
    with pytest.raises(Unauthenticated) as caught:
        identity.identify(CIMultiDict(), "", "", 0, {})
    assert caught.value.code == "missing_key"


def test_keys_that_were_made_with_another_pepper_are_counted() -> None:
    ours, unmarked = issued(), issued(OTHER, pepper="")
    foreign = issued("tk-foreign", pepper="0ther000")
    assert Door(ours, unmarked).identity.foreign() == 0
    assert Door(ours, foreign).identity.foreign() == 1
    assert Door(ours, issued("tk-old", pepper="0ther000", revoked=1.0)).identity.foreign() == 0
