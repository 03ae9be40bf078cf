from gateway.core.notes import StreamEnded, Used
from gateway.core.reply import Usage
from gateway.telemetry.pretty import pretty
from tests.telemetry.outcomes import make_outcome, wide_event


def shown(**changes: object) -> str:
    event = wide_event(make_outcome(**changes), 1_763_700_000.0, {"gpt"})
    return pretty(event).decode()


def test_a_request_is_one_line_in_the_order_people_read() -> None:
    event = wide_event(
        make_outcome(
            StreamEnded("done", 3, 900, 0.1, 0.5), Used("gpt", Usage(57, 31), 1_240), stream=True
        ),
        1_763_700_000.0,
        {"gpt"},
    )
    line = pretty(event).decode()
    assert line.count("\n") == 1
    words = ["04:40:00", "200", "/v1/chat/completions", "gpt via -", "ms", "stream done"]
    words += ["57 -> 31 tokens", "$0.001240", "req-0001"]
    assert [word for word in words if word not in line] == []


def test_failures_stand_out_by_colour_and_name_their_code() -> None:
    assert "\033[33m404" in shown(status=404, code="model_not_found")
    assert "\033[31m502" in shown(status=502, code="upstream_broken", detail="reset")
    assert "upstream_broken\033[0m reset" in shown(
        status=502, code="upstream_broken", detail="reset"
    )


def test_text_from_outside_cannot_move_the_cursor_or_start_a_line() -> None:
    line = shown(status=502, code="x", detail="\033[2J\r\n200 faked \u202e")
    assert "\033[2J" not in line
    assert "\r" not in line
    assert "\u202e" not in line
    assert line.count("\n") == 1


def test_an_event_of_the_process_shows_its_fields_and_its_traceback_below() -> None:
    event = {
        "ts": "2025-11-21T04:40:00.250+00:00",
        "level": "error",
        "event": "a task failed",
        "task": "warm",
        "count": 3,
        "trace": "Traceback:\n  line\x1b[1m\n",
    }
    lines = pretty(event).decode().splitlines()
    assert lines[0].endswith("a task failed  task=warm count=3")
    assert lines[1] == "    Traceback:"
    assert len(lines) == 3
    assert "\x1b[1m" not in lines[2]
