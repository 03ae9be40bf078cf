from base64 import b64encode, urlsafe_b64encode
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core import wire
from gateway.core.secret import Secret
from gateway.telemetry.redact import LONGEST_TEXT, MASK, Redactor

CANARY = 'cANary/+"1 ü~key-0042'


@pytest.fixture
def redactor() -> Redactor:
    made = Redactor()
    made.register(CANARY)
    return made


@pytest.mark.parametrize(
    "shown",
    [
        CANARY,
        quote(CANARY, safe=""),
        CANARY.replace("/", "%2f").replace("+", "%2b"),
        quote(quote(CANARY, safe=""), safe=""),
        "".join(f"%{byte:02X}" for byte in CANARY.encode()),
        wire.encode(CANARY).decode(),
        wire.encode(wire.encode(CANARY).decode()).decode(),
        CANARY.replace("ü", "\\u00fc").replace('"', '\\"'),
        CANARY.replace("/", "\\/"),
        CANARY.encode().hex(),
        CANARY.encode("unicode_escape").decode(),
        repr(CANARY),
    ],
)
def test_a_known_secret_is_masked_in_every_usual_encoding(redactor: Redactor, shown: str) -> None:
    clean = redactor.text(f"before {shown} after")
    assert MASK in clean
    assert "0042" not in clean
    assert quote("0042") not in clean
    assert clean.startswith("before ")


@pytest.mark.parametrize("before", ["", "a", "ab", "abc", "Bearer "])
@pytest.mark.parametrize("encode", [b64encode, urlsafe_b64encode])
def test_a_known_secret_is_masked_in_base64_at_every_offset(
    redactor: Redactor, before: str, encode: "type[bytes]"
) -> None:
    shown = encode(f"{before}{CANARY}:tail".encode()).decode()
    inner = b64encode(CANARY.encode()).decode()[4:16]
    clean = redactor.text(f"basic-auth={shown}")
    assert MASK in clean
    assert inner not in clean


@pytest.mark.parametrize(
    "text",
    [
        "key sk-abcdefgh12345678 refused",
        "tk-0123456789abcdef is unknown",
        "Authorization: Bearer abcd1234",
        '{"authorization": "Bearer abcd1234"}',
        '{\\"x-api-key\\": \\"abcd1234\\"}',
        "x-api-key: abcd1234",
        "X-API-KEY=abcd1234&x=1",
        "api_key='abcd1234'",
        "bearer   abcd1234",
        "redis://user:abcd1234@host:6379/0",
        "AIzaSyabcdefgh12345678abcdefgh12345678",
        "ghp_abcdefgh12345678abcd",
        "eyJhbGciOiJIUzI1.eyJzdWIiabcd1234.sig_abcd1234",
    ],
)
def test_what_looks_like_a_key_is_masked(text: str) -> None:
    clean = Redactor().text(text)
    assert MASK in clean
    assert "1234" not in clean


@pytest.mark.parametrize(
    "text",
    [
        "chatcmpl-BenchBenchBench01",
        "no connection to 10.0.0.1:443 within 5 s",
        "the task-force met at risk-averse desks",
        "100 % of https://example.org/a%20b \\o/",
    ],
)
def test_ordinary_text_stays_as_it_is(redactor: Redactor, text: str) -> None:
    assert redactor.text(text) == text


def test_many_secrets_are_told_apart_by_more_than_their_first_letters() -> None:
    redactor = Redactor()
    for number in range(1_000):
        redactor.register(f"tenant-key-{number:04}-secret")
    assert redactor.text("a tenant-key-0999-secret b tenant-key-of-nobody") == (
        f"a {MASK} b tenant-key-of-nobody"
    )


def test_a_short_or_absent_secret_masks_nothing() -> None:
    redactor = Redactor()
    redactor.register("dev")
    redactor.register(Secret(None, "env:NOWHERE"))
    assert redactor.text("devices developed") == "devices developed"


def test_a_secret_is_masked_by_its_type_wherever_it_sits() -> None:
    redactor = Redactor()
    secret = Secret("plain-text-value", "env:KEY")
    redactor.register(secret)
    value = {"a": [secret, ("plain-text-value", 1, True, None)], "b": b"12345", "c": {1.5}}
    assert redactor.value(value) == {
        "a": [MASK, [MASK, 1, True, None]],
        "b": "<5 bytes>",
        "c": [1.5],
    }


def test_long_text_is_cut_after_redaction(redactor: Redactor) -> None:
    edge = "x" * (LONGEST_TEXT - 5) + " " + CANARY
    clean = redactor.text(edge)
    assert "cANa" not in clean
    assert redactor.text("y" * 3 * LONGEST_TEXT).endswith("... (cut)")


@given(st.text(), st.lists(st.text(min_size=8, max_size=40), min_size=1), st.text())
def test_no_text_brings_a_known_secret_through(before: str, secrets: list[str], after: str) -> None:
    """Whatever others are known: a long one may have been there before a short one, or after."""
    redactor = Redactor()
    for secret in secrets:
        redactor.register(secret)
    for secret in secrets:
        clean = redactor.text(before + secret + after)
        assert secret not in clean or secret in MASK * 40


@pytest.mark.parametrize("lengths", [(40, 8), (8, 40)])
def test_secrets_of_all_lengths_are_found_at_every_place(lengths: tuple[int, int]) -> None:
    redactor = Redactor()
    secrets = ["0123456789zyxwvutsrqponmlkjihgfedcbaABCDEF"[:length] for length in lengths]
    for secret in secrets:
        redactor.register(secret)
    for secret in secrets:
        for place in range(20):
            assert redactor.text("." * place + secret) == "." * place + MASK


def whole(redactor: Redactor, value: object) -> object:
    return redactor.masked(value, lambda: None)


def test_a_value_that_is_kept_is_masked_and_not_cut(redactor: Redactor) -> None:
    long = "word " * LONGEST_TEXT
    value = {"a": [f"{long}{CANARY}", 7, None], "password": "hunter2", "n": {"secret": ["x"]}}
    assert whole(redactor, value) == {
        "a": [f"{long}{MASK}", 7, None],
        "password": MASK,
        "n": {"secret": ["x"]},
    }


@given(st.integers(0, 3000), st.sampled_from([CANARY, "authorization: Bearer abcdefghijkl"]))
def test_no_cut_hides_a_secret_wherever_it_stands(before: int, secret: str) -> None:
    redactor = Redactor()
    redactor.register(CANARY)
    text = ("a bc def " * 1000)[:before] + " " + secret + " and so on" * 300
    clean = whole(redactor, {"x": text})
    assert isinstance(clean, dict)
    assert "cANary" not in clean["x"]
    assert "abcdefghijkl" not in clean["x"]
    assert clean["x"].endswith(" and so on" * 300)


def test_who_masks_long_text_rests_between_pieces(redactor: Redactor) -> None:
    rests: list[int] = []
    redactor.masked("word " * 20_000, lambda: rests.append(1))
    assert 40 <= len(rests) <= 60
    rests.clear()
    full = "password=abcdefgh " * 10_000  # no place to cut: not tried for ever
    assert redactor.masked(full, lambda: rests.append(1)) == "password=*** " * 10_000
    assert len(rests) == 1


def test_text_that_only_speaks_of_secrets_stays_as_it_is(redactor: Redactor) -> None:
    text = "The key is to keep the secret password basic, and http:// is no user."
    assert redactor.text(text) == text
