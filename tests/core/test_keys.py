"""What is kept of a key."""

import hashlib
import hmac

from gateway.core.keys import digest_of, mark_of

KEY = "tk-0123456789abcdefghijABCDEFGHIJ01"


def test_a_keys_digest_is_its_hmac_with_the_pepper() -> None:
    """J03."""
    expected = hmac.new(b"pepper", KEY.encode(), hashlib.sha256).hexdigest()
    assert digest_of(KEY, b"pepper") == expected
    assert digest_of(KEY, b"another") != expected


def test_any_text_from_the_wire_has_a_digest() -> None:
    """A03."""
    assert len({digest_of(text, b"p") for text in ("", "a\0b", "schlüssel", "\udcff\udc80")}) == 4


def test_a_peppers_mark_tells_peppers_apart_and_is_no_keys_digest() -> None:
    assert mark_of(b"one") == mark_of(b"one") != mark_of(b"two")
    assert len(mark_of(b"one")) == 8
