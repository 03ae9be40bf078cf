"""Addresses are read strictly, and a public one needs keys."""

import os

import pytest

from gateway.core.secret import Secret
from gateway.settings import Address, Settings, address_problems, environment, parse_address


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("127.0.0.1:8080", Address("127.0.0.1", 8080)),
        ("[::1]:0", Address("::1", 0)),
        (":80", Address("", 80)),
        ("gateway.example.com:443", Address("gateway.example.com", 443)),
    ],
)
def test_an_address_is_host_and_port(text: str, expected: Address) -> None:
    assert parse_address(text) == expected
    assert str(expected) == text


@pytest.mark.parametrize(
    "text", ["", "8080", "host", "host:", "a b:1", "::1:80", "h:65536", "h:-1"]
)
def test_anything_else_says_what_was_expected(text: str) -> None:
    with pytest.raises(ValueError, match="HOST:PORT, such as"):
        parse_address(text)


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.9.1", "::1", "localhost"])
def test_loopback_is_private(host: str) -> None:
    assert Address(host, 1).private


@pytest.mark.parametrize(
    "host", ["", "0.0.0.0", "::", "10.0.0.1", "example.com", "127.0.0.1.nip.io"]
)
def test_all_else_is_not(host: str) -> None:
    assert not Address(host, 1).private


def test_a_public_address_needs_keys() -> None:
    public = Settings(listen="0.0.0.0:80", admin="[::]:81")
    assert [field for field, _ in address_problems(public)] == ["listen", "admin"]
    keyed = Settings(listen="0.0.0.0:80", keys={"alice": Secret("x", "env:X")})
    assert address_problems(keyed) == []
    assert address_problems(Settings(listen="0.0.0.0:80", require_key=True)) == []
    assert address_problems(Settings()) == []


@pytest.mark.parametrize(
    ("listen", "admin"),
    [
        ("127.0.0.1:80", "127.0.0.1:80"),
        ("127.0.0.1:80", "localhost:80"),
        (":80", "127.0.0.1:80"),
        ("[::1]:80", "0.0.0.0:80"),
    ],
)
def test_both_cannot_listen_in_one_place(listen: str, admin: str) -> None:
    keys = {"alice": Secret("x", "env:X")}
    token = Secret("t", "env:T")
    settings = Settings(listen=listen, admin=admin, keys=keys, admin_token=token)
    assert address_problems(settings) == [
        ("admin", f"{admin} is where `listen` is. Choose another port.")
    ]


@pytest.mark.parametrize(
    ("listen", "admin"),
    [
        ("127.0.0.1:0", "127.0.0.1:0"),
        ("127.0.0.1:80", "127.0.0.1:81"),
        ("127.0.0.1:80", "127.0.0.2:80"),
    ],
)
def test_other_places_do_not_meet(listen: str, admin: str) -> None:
    assert address_problems(Settings(listen=listen, admin=admin)) == []


def test_an_unreadable_address_is_a_problem_of_its_field() -> None:
    assert address_problems(Settings(admin="here")) == [
        ("admin", "this must be HOST:PORT, such as 127.0.0.1:8080.")
    ]


def test_the_environment_is_the_process_own() -> None:
    assert environment() is os.environ
