from hypothesis import given
from hypothesis import strategies as st

from gateway.stages.semantic_cache.directives import PLAIN, Directives, directives


def test_without_a_word_everything_may_be_done() -> None:
    assert directives({}) is PLAIN
    assert directives({"cache-control": "max-stale=3, only-if-cached, private"}) is PLAIN


def test_the_strictest_word_counts() -> None:
    assert directives({"cache-control": "max-age=9, No-Store"}).reason == "no-store"
    assert directives({"cache-control": "max-age=9, no-cache"}).read is False
    assert directives({"cache-control": "max-age=9, max-age=5"}).max_age == 5


def test_our_own_header_goes_first() -> None:
    both = {"cache-control": "no-store", "x-turnout-cache": " Refresh "}
    assert directives(both) == Directives(read=False, reason="refresh")


@given(st.text(alphabet='0123456789-+."eE x²', max_size=14))
def test_a_number_that_is_none_is_passed_over(text: str) -> None:
    found = directives({"cache-control": f"max-age={text}"}).max_age
    assert found is None or found == int(text.strip().strip('"'))
