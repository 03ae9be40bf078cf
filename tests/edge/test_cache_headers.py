from gateway.core.notes import Cached
from gateway.edge.cache_headers import cache_lines


def test_a_hit_says_how_old_it_is_and_which_entry() -> None:
    assert cache_lines(Cached("hit-exact", "", 12.9, "ans-1")) == (
        "x-turnout-cache: hit-exact\r\nx-turnout-cache-age: 12\r\nx-turnout-cache-id: ans-1\r\n"
    )


def test_a_miss_says_why_where_there_might_have_been_a_hit() -> None:
    assert cache_lines(Cached("miss")) == "x-turnout-cache: miss\r\n"
    assert cache_lines(Cached("miss", "number")) == (
        "x-turnout-cache: miss\r\nx-turnout-cache-reason: number\r\n"
    )


def test_an_answer_that_was_not_stored_says_why() -> None:
    assert cache_lines(Cached("miss", "number", unstored="tool_call")) == (
        "x-turnout-cache: miss\r\nx-turnout-cache-reason: number\r\n"
        "x-turnout-cache-unstored: tool_call\r\n"
    )


def test_a_semantic_hit_says_what_is_known_of_its_like() -> None:
    cached = Cached("hit-semantic", "", 1.0, "ans-1", "gpt", None, "<=0.012")
    assert cache_lines(cached).endswith("\r\nx-turnout-cache-risk: <=0.012\r\n")
