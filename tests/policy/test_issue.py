"""Issuing keys: what may be asked, what is kept, what is shown."""

from typing import Any

import pytest

from gateway.core.keys import digest_of, mark_of
from gateway.core.secret import Secret
from gateway.policy.issue import Issuer, Misfit, facts
from gateway.state.memory import memory_state
from gateway.trial.clock import TrialClock

PEPPER = "a pepper for these tests"
NOW = 1_700_000_000.0
ACTOR = "cli: somebody"


def issuer(*tenants: str) -> Issuer:
    return Issuer(
        memory_state(TrialClock(NOW)),
        Secret(PEPPER, "test"),
        new_secret=lambda: "Ab3" * 10 + "zz",
        tenants=lambda: tenants or None,
        audit=lambda _event, **_fields: None,
    )


async def test_j03_of_a_key_its_digest_and_first_characters_are_kept() -> None:
    desk = issuer()
    issued = await desk.create({"tenant": "acme"}, ACTOR)
    assert issued.secret == "tk-" + "Ab3" * 10 + "zz"
    assert issued.key.digest == digest_of(issued.secret, PEPPER.encode())
    assert issued.key.prefix == "tk-Ab3Ab"
    assert issued.key.id == issued.key.digest[:12]
    assert issued.key.pepper == mark_of(PEPPER.encode())
    assert list(await desk.all()) == [issued.key]
    assert issued.secret not in repr(issued.key)


async def test_all_that_was_asked_for_is_kept_and_shown() -> None:
    asked = {
        "tenant": "acme",
        "labels": {"team": "ml"},
        "networks": ["10.0.0.0/8", "2001:db8::/32", "192.0.2.1"],
        "expires": "30d",
    }
    key = (await issuer("acme").create(asked, ACTOR)).key
    assert facts(key, NOW) == {
        "id": key.id,
        "prefix": "tk-Ab3Ab",
        "state": "active",
        **asked,
        "created": "2023-11-14T22:13:20Z",
        "expires": "2023-12-14T22:13:20Z",
        "revoked": None,
    }
    assert facts(key, NOW + 30 * 86_400)["state"] == "expired"


@pytest.mark.parametrize(
    ("span", "seconds"), [("90s", 90), ("5m", 300), ("12h", 43_200), ("2w", 1_209_600)]
)
async def test_a_span_is_a_number_and_a_unit(span: str, seconds: int) -> None:
    key = (await issuer().create({"tenant": "acme", "expires": span}, ACTOR)).key
    assert key.expires == NOW + seconds


@pytest.mark.parametrize(
    ("asked", "field", "said"),
    [
        ({}, "", "`tenant` is missing."),
        ({"tenant": "a b"}, "tenant", "1 to 64 letters"),
        ({"tenant": "amce"}, "tenant", "Did you mean `acme`?"),
        ({"tenant": "acme", "label": {}}, "label", "Did you mean `labels`?"),
        ({"tenant": "acme", "labels": {"team": 3}}, "labels.team", "this must be text"),
        ({"tenant": "acme", "labels": {"team": ""}}, "labels.team", "of length >= 1"),
        ({"tenant": "acme", "expires": "1 day"}, "expires", "such as 30d"),
        ({"tenant": "acme", "expires": "0d"}, "expires", "such as 30d"),
        ({"tenant": "acme", "networks": ["10.0.0.1/8"]}, "networks.0", "write 10.0.0.0/8"),
        ({"tenant": "acme", "networks": ["::1", "home"]}, "networks.1", "such as 10.0.0.0/8"),
        (
            {"tenant": "acme", "networks": ["::ffff:10.0.0.0/104"]},
            "networks.0",
            "write 10.0.0.0/8.",
        ),
        ({"tenant": "acme", "networks": ["::1"] * 33}, "networks", "length <= 32"),
    ],
)
async def test_what_cannot_be_is_told_with_its_field(
    asked: dict[str, Any], field: str, said: str
) -> None:
    desk = issuer("acme")
    with pytest.raises(Misfit) as caught:
        await desk.create(asked, ACTOR)
    assert caught.value.field == field
    assert said in str(caught.value)
    assert list(await desk.all()) == []


async def test_without_a_tenants_file_any_name_will_do() -> None:
    assert (await issuer().create({"tenant": "newcomer"}, ACTOR)).key.tenant == "newcomer"


async def test_a_revoked_key_says_since_when_and_an_unknown_one_is_none() -> None:
    desk = issuer()
    name = (await desk.create({"tenant": "acme"}, ACTOR)).key.id
    key = await desk.revoke(name, ACTOR)
    assert key is not None
    assert (facts(key, NOW)["state"], facts(key, NOW)["revoked"]) == (
        "revoked",
        "2023-11-14T22:13:20Z",
    )
    assert await desk.revoke("nobody", ACTOR) is None
