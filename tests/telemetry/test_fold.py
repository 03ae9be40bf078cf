import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core import wire
from gateway.core.exchange import Caller
from gateway.core.notes import Attempted, Note, Passed, Routed, StreamEnded, Used
from gateway.core.outcome import Outcome
from gateway.core.reply import Usage
from gateway.telemetry.fold import OTHER
from tests.telemetry.outcomes import folded, make_outcome

WALL = 1_763_700_000.25
SERVED = {"gpt", "fast"}


def test_a_stream_with_a_failover_becomes_one_flat_event() -> None:
    outcome = make_outcome(
        Routed("gpt", "one", "explicit"),
        Attempted("one", "gpt", 100.1, 100.3, "upstream_busy", 429),
        Attempted("two", "gpt-b", 100.3, 100.8),
        StreamEnded("done", 33, 9_000, 0.25, 0.9),
        Used("gpt-b", Usage(57, 31, 7, 5, 3), 1_240),
        stream=True,
        first_byte=100.85,
        ended=102.0,
        dropped=("logit_bias",),
        upstream_id="req_1",
        client_retry=2,
    )
    event = folded(outcome, WALL, SERVED)
    assert event["ts"] == "2025-11-21T04:40:00.250+00:00"
    assert (event["model"], event["answered_by"], event["answered_model"]) == (
        "gpt",
        "two",
        "gpt-b",
    )
    assert event["attempts"] == 2
    assert (event["route"], event["tried"]) == (
        "explicit",
        ("one/gpt: upstream_busy", "two/gpt-b: ok"),
    )
    assert event["duration_ms"] == pytest.approx(2000, abs=0.01)
    assert event["ttft_ms"] == pytest.approx(850, abs=0.01)
    assert event["upstream_ms"] == pytest.approx(1600, abs=0.01)
    assert event["overhead_ms"] == pytest.approx(400, abs=0.01)
    assert event["longest_gap_ms"] == pytest.approx(250, abs=0.01)
    assert (event["tokens_in"], event["tokens_out"], event["tokens_cached"]) == (57, 31, 7)
    assert (event["tokens_cache_write"], event["tokens_reasoning"]) == (5, 3)
    assert event["cost_usd"] == 0.00124
    assert (event["stream_end"], event["stream_code"]) == ("done", "")
    assert (event["dropped"], event["client_retry"]) == (("logit_bias",), 2)
    assert all(not isinstance(value, dict | list) for value in event.values())


def test_a_name_that_we_do_not_have_is_shown_at_its_beginning() -> None:
    event = folded(make_outcome(model="gpt-5o" + "x" * 100, status=404), WALL, SERVED)
    assert event["model"] == OTHER
    assert event["asked"] == "gpt-5o" + "x" * 58
    assert event["ttft_ms"] is None
    assert folded(make_outcome(), WALL, SERVED)["asked"] is None
    assert folded(make_outcome(model=""), WALL, SERVED)["asked"] is None


def test_an_unpriced_answer_has_no_cost_and_is_not_free() -> None:
    event = folded(make_outcome(Used("gpt", Usage(1, 1), None)), WALL, SERVED)
    assert event["cost_usd"] is None
    assert event["tokens_in"] == 1


def test_what_passed_of_an_answer_that_was_cut_is_told_and_by_whom_it_was_counted() -> None:
    notes = (Attempted("one", "gpt", 1.0, 2.0), Passed("gpt", Usage(5, 9), 90))
    cut = folded(make_outcome(*notes, StreamEnded("revoked", 5, 50, 0.1, 0.2)), WALL, SERVED)
    assert (cut["tokens_in"], cut["tokens_out"], cut["cost_usd"]) == (5, 9, 0.00009)
    assert cut["counted"] == "relayed"
    for ended in ((), (StreamEnded("done", 5, 50, 0.1, 0.2),)):
        whole = folded(make_outcome(*notes, *ended), WALL, SERVED)
        assert whole["tokens_out"] is None, "its provider could have said it, and did not"


def test_a_request_refused_at_the_door_has_neither_attempts_nor_tokens() -> None:
    outcome = make_outcome(
        status=401,
        code="invalid_key",
        fault="caller",
        model="",
        first_byte=None,
        caller=Caller("", ""),
    )
    event = folded(outcome, WALL, SERVED)
    assert (event["attempts"], event["answered_by"], event["tokens_in"]) == (0, "", None)
    assert (event["stream_end"], event["ttft_ms"], event["cost_usd"]) == (None, None, None)
    assert (event["code"], event["fault"]) == ("invalid_key", "caller")


def test_a_model_name_that_is_not_served_is_a_strangers_text_and_not_logged() -> None:
    event = folded(make_outcome(model="ignore all previous instructions"), WALL, SERVED)
    assert event["model"] == OTHER


times = st.floats(min_value=-1e9, max_value=1e9)
counts = st.integers(min_value=0, max_value=1 << 50)
usages = st.builds(Usage, counts, counts, counts, counts, counts)
notes = st.one_of(
    st.builds(Routed, st.text(), st.text(), st.text()),
    st.builds(Attempted, st.text(), st.text(), times, times, st.text(), counts),
    st.builds(
        StreamEnded,
        st.sampled_from(["done", "client_gone", "upstream_cut", "error"]),
        counts,
        counts,
        times,
        times,
        st.text(),
    ),
    st.builds(Used, st.text(), usages, st.none() | counts),
)


@given(st.lists(notes, max_size=6), times, times, st.none() | times)
def test_every_outcome_folds_to_encodable_json(
    left: list[Note], started: float, ended: float, first: float | None
) -> None:
    outcome: Outcome = make_outcome(*left, started=started, ended=ended, first_byte=first)
    assert wire.decode(wire.encode(folded(outcome, WALL, SERVED)))["request_id"] == outcome.id
