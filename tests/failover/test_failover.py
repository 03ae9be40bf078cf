"""Group F over real sockets: providers that refuse, hang, break and lie, behind fault proxies."""

import asyncio
import socket
from contextlib import closing

import pytest

from loadtest.fault_proxy import Fault
from tests.failover.pool import open_pool
from tests.fakes import answers
from tests.fakes.raw_client import Answer
from tests.fakes.upstream import RESET, STALL, Script, raw_reply
from tests.journeys.journey import broken, complete, said
from tests.journeys.test_stalls import black_hole, open_server_without_tls

GOOD: Script = [answers.stream("openai")]
WHOLE: Script = [answers.whole("openai")]


def failing(status: int, kind: str = "server_error", **headers: str) -> Script:
    return [answers.error("openai", status, kind, "no", **headers)]


def served_by(answer: Answer) -> str:
    return answer.headers["x-turnout-provider"]


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize("status", [500, 502, 503, 529, 429, 401, 403, 404])
async def test_f02_f04_a_provider_that_fails_is_followed_by_the_next(
    status: int, stream: bool
) -> None:
    async with open_pool(failing(status), GOOD if stream else WHOLE) as pool:
        answer = await pool.ask(stream=stream)
        assert pool.tries() == [1, 1]
    assert answer.status == 200
    assert served_by(answer) == "b"
    assert answer.headers["x-turnout-attempts"] == "2"
    assert answer.headers["x-turnout-model"] == "m-b"
    assert answer.headers["x-turnout-route"].startswith("failover: a ")
    [event] = pool.events
    assert event["attempts"] == 2
    assert event["route"] == answer.headers["x-turnout-route"]
    assert event["tried"][1] == "b/m-b: ok"
    assert event["stages"] == ["failover: failed over"]


async def test_f04_a_refused_key_raises_an_alarm_and_is_left_alone() -> None:
    async with open_pool(failing(401, "invalid_api_key"), WHOLE) as pool:
        for turn in range(5):
            answer = await pool.ask(stream=False, content=str(turn))
            assert served_by(answer) == "b"
        assert pool.tries() == [1, 5]
        metrics = await pool.metrics()
    assert 'turnout_target_state{model="m-a",provider="a",state="denied"} 1.0' in metrics
    [alarm] = [line for line in pool.lines if line.get("level") == "error"]
    assert (alarm["provider"], alarm["code"]) == ("a", "upstream_denied")


@pytest.mark.parametrize("status", [400, 413, 422])
async def test_f04_a_bad_request_comes_back_in_the_providers_words(status: int) -> None:
    async with open_pool(failing(status, "invalid_request_error"), WHOLE) as pool:
        answer = await pool.ask(stream=False)
        assert pool.tries() == [1, 0]
    assert (answer.status, answer.json["error"]["message"]) == (status, "no")


async def test_f01_retry_after_is_obeyed() -> None:
    busy = answers.error("openai", 429, "requests", "slow down", **{"retry-after": "30"})
    async with open_pool([busy], WHOLE) as pool:
        for turn in range(4):
            assert served_by(await pool.ask(stream=False, content=str(turn))) == "b"
        assert pool.tries() == [1, 4]
        metrics = await pool.metrics()
    assert 'turnout_target_state{model="m-a",provider="a",state="paused"} 1.0' in metrics
    assert 'turnout_breaker_openings_total{model="m-a",provider="a"} 0.0' in metrics


@pytest.mark.parametrize("stream", [True, False])
async def test_f03_a_provider_that_is_not_there_is_followed_within_the_connect_budget(
    stream: bool,
) -> None:
    good = GOOD if stream else WHOLE
    codes = {}
    with closing(socket.socket()) as taken, black_hole() as hole:
        taken.bind(("127.0.0.1", 0))  # bound, not listening
        async with open_server_without_tls(reset=False) as plain:
            for fault, url in {
                "refused": f"http://127.0.0.1:{taken.getsockname()[1]}/v1",
                "no answer to SYN": f"http://127.0.0.1:{hole}/v1",
                "no such name": "http://nowhere.invalid/v1",
                "no TLS there": f"https://127.0.0.1:{plain}/v1",
            }.items():
                async with open_pool(good, good, urls={"a": url}) as pool:
                    answer = await pool.ask(stream=stream)
                assert (answer.status, served_by(answer)) == (200, "b"), fault
                [event] = pool.events
                assert event["duration_ms"] < 2_000
                codes[fault] = event["tried"][0]
    assert len(set(codes.values())) == len(codes), "each has a code of its own"


@pytest.mark.parametrize(
    "fault",
    [
        Fault(reset_after=0),
        Fault(reset_after=60),
        Fault(truncate_after=0),
        Fault(truncate_after=150),
        Fault(half_close_after=150),
        Fault(stall_after=0),
        Fault(stall_after=150),
        Fault(corrupt_at=2),
        Fault(corrupt_at=160),
    ],
    ids=lambda fault: str(fault).removeprefix("Fault"),
)
async def test_e05_what_breaks_before_the_first_token_is_invisible(fault: Fault) -> None:
    failover = {"targets": [{"model": "m-a", "first_token": 0.5}, {"model": "m-b"}]}
    async with open_pool(GOOD, GOOD, failover=failover) as pool:
        pool.proxies["a"].fault = fault
        answer = await pool.ask()
    assert (answer.status, served_by(answer)) == (200, "b")
    assert complete(answer.body, "openai")
    assert said(answer.body) == "Hello."
    assert b'"error"' not in answer.body


@pytest.mark.parametrize("caller", ["openai", "anthropic"])
async def test_e05_a_target_of_the_other_dialect_takes_over(caller: str) -> None:
    failover = {"targets": [{"model": "m-a", "first_token": 0.3}, {"model": "m-b"}]}
    script = [answers.stream("anthropic")]
    kinds = ["openai", "anthropic"]
    async with open_pool([raw_reply([STALL])], script, failover=failover, kinds=kinds) as pool:
        answer = await pool.ask(caller)
    assert (answer.status, served_by(answer)) == (200, "b")
    assert complete(answer.body, caller)


async def test_e05_when_all_stall_it_is_a_504_in_json() -> None:
    failover = {
        "targets": [{"model": "m-a", "first_token": 0.3}, {"model": "m-b", "first_token": 0.3}]
    }
    stall = [raw_reply([STALL])]
    async with open_pool(stall, stall, failover=failover) as pool:
        answer = await pool.ask()
    assert (answer.status, answer.code) == (504, "upstream_first_byte_timeout")
    assert answer.headers["x-should-retry"] == "false"


@pytest.mark.parametrize(
    ("end", "code"), [([RESET], "upstream_truncated"), ([STALL], "upstream_idle")]
)
async def test_f11_after_the_first_token_there_is_one_error_event_and_no_second_try(
    end: list[object], code: str
) -> None:
    script = [answers.stream("openai", keep=3, then=end)]  # type: ignore[arg-type]
    async with open_pool(script, GOOD) as pool:
        answer = await pool.ask()
        assert pool.tries() == [1, 0]
    told = broken(answer.body, "openai")
    [event] = pool.events
    assert (told["code"], told["delivered_tokens"]) == (code, event["tokens_out"])
    assert event["tokens_out"] > 0
    assert event["cost_usd"] > 0
    assert f"\n: turnout cost={event['cost_usd']:.6f} overhead-ms=".encode() in answer.body
    assert (event["attempts"], event["stream_end"]) == (1, "upstream_cut")


@pytest.mark.parametrize("dialect", ["openai", "anthropic"])
async def test_f11_behind_a_providers_own_error_event_stands_what_came_and_what_it_cost(
    dialect: str,
) -> None:
    """The event itself is relayed as it came."""
    own = answers.mid_stream_error(dialect)
    script = [answers.stream(dialect, keep=3, then=[own])]
    async with open_pool(script, GOOD, kinds=[dialect, dialect]) as pool:
        answer = await pool.ask(dialect)
        assert pool.tries() == [1, 0]
    [event] = pool.events
    behind = answer.body.partition(own)[2].decode()
    assert behind.startswith(f": turnout cost={event['cost_usd']:.6f} overhead-ms=")
    assert behind.endswith(f" delivered-tokens={event['tokens_out']}\n\n")


async def test_f07_all_down_is_told_in_a_moment() -> None:
    with closing(socket.socket()) as taken:
        taken.bind(("127.0.0.1", 0))
        gone = f"http://127.0.0.1:{taken.getsockname()[1]}/v1"
        async with open_pool(WHOLE, WHOLE, urls={"a": gone, "b": gone}) as pool:
            for turn in range(60):
                await pool.ask(stream=False, content=str(turn))
            answer = await pool.ask(stream=False)
            other = await pool.ask("anthropic", stream=False)
    assert (answer.status, answer.code) == (503, "all_providers_down")
    assert 1 <= int(answer.headers["retry-after"]) <= 11
    assert other.status == 529
    assert pool.events[-1]["attempts"] == 0
    assert pool.events[-1]["stages"] == ["failover: all providers down"]


async def test_the_deadline_is_one_for_the_whole_chain() -> None:
    stall = [raw_reply([STALL])]
    async with open_pool(stall, stall, stall) as pool:
        answer = await pool.ask(stream=False, headers={"x-turnout-deadline-ms": "700"})
    assert answer.status == 504
    assert 600 < pool.events[0]["duration_ms"] < 1_500


@pytest.mark.parametrize("stream", [True, False])
async def test_the_policys_deadline_is_told_as_such(stream: bool) -> None:
    slow = answers.stream("openai", keep=3, then=[STALL]) if stream else raw_reply([STALL])
    async with open_pool([slow], failover={"deadline": 0.3}) as pool:
        answer = await pool.ask(stream=stream, headers={"x-turnout-deadline-ms": "60000"})
    assert b'"deadline_exceeded"' in answer.body
    assert (pool.events[0]["code"], pool.events[0]["fault"]) == ("deadline_exceeded", "upstream")


async def test_the_ceiling_of_the_caller_holds() -> None:
    async with open_pool(WHOLE, WHOLE) as pool:
        good = await pool.ask(stream=False, headers={"x-turnout-max-cost": "0.01"})
        dear = await pool.ask(stream=False, headers={"x-turnout-max-cost": "0.0001"})
        assert pool.tries() == [1, 0]
    assert good.status == 200
    assert (dear.status, dear.code) == (400, "max_cost_exceeded")


async def test_an_answer_that_is_gathered_may_break_anywhere() -> None:
    cut = [answers.stream("openai", keep=3, then=[RESET])]
    async with open_pool(cut, GOOD, relay={"mode": "buffered"}) as pool:
        answer = await pool.ask(stream=False)
    assert (answer.status, served_by(answer)) == (200, "b")
    assert answer.json["choices"][0]["message"]["content"] == "Hello."


async def test_a_prompt_that_is_too_long_goes_to_the_model_for_those() -> None:
    long = [answers.error("openai", 400, "context_length_exceeded", "too long")]
    failover = {"targets": [{"model": "m-a"}], "on_context_window": [{"model": "m-b"}]}
    async with open_pool(long, WHOLE, failover=failover) as pool:
        answer = await pool.ask(stream=False)
    assert (answer.status, served_by(answer)) == (200, "b")


async def test_f03_a_provider_that_hangs_is_left_alone_under_a_short_deadline_too() -> None:
    async with open_pool([raw_reply([STALL])], WHOLE, failover={"deadline": 1.2}) as pool:
        late = await asyncio.gather(
            *(pool.ask(stream=False, content=str(turn)) for turn in range(20))
        )
        answer = await pool.ask(stream=False)
        assert pool.tries() == [20, 1]
    assert {each.status for each in late} == {504}
    assert (answer.status, served_by(answer)) == (200, "b")
    assert answer.headers["x-turnout-route"] == "failover: a is left alone"


async def test_f10_a_hundred_at_once_send_one_probe() -> None:
    async with open_pool(WHOLE, WHOLE) as pool:
        condition = pool.gateway.process._tools.health.condition("a", "m-a")
        condition.breaker.trip(0.0)  # it was shut long ago
        pool.proxies["a"].delay = 0.2
        replies = await asyncio.gather(
            *(pool.ask(stream=False, content=str(turn)) for turn in range(100))
        )
        assert pool.tries() == [1, 99]
        assert condition.breaker.closed
    assert {reply.status for reply in replies} == {200}


async def test_f09_the_loser_of_a_race_is_let_go_of_at_once_and_paid_for() -> None:
    """The second request goes out when 95 of 100 first tokens would have come."""
    slow = asyncio.Event()

    def script(_request: object) -> object:
        if slow.is_set():
            return raw_reply([STALL])
        return answers.stream("openai")

    failover = {
        "targets": [{"model": "m-a", "first_token": 4}, {"model": "m-b"}],
        "hedge": {"extra": 50},
    }
    async with open_pool(script, GOOD, failover=failover) as pool:  # type: ignore[arg-type]
        for turn in range(30):
            await pool.ask(content=str(turn))
        slow.set()
        answer = await pool.ask(content="a slow one")
        ended = asyncio.get_running_loop().time()
        await pool.upstreams["a"].until_closed()
        assert asyncio.get_running_loop().time() - ended <= 0.25
        assert pool.tries()[1] >= 1
    assert served_by(answer) == "b"
    assert complete(answer.body, "openai")
    event = pool.events[-1]
    assert "failover: hedged" in event["stages"]
    assert event["tried"] == ["b/m-b: ok", "a/m-a: cancelled"]
    assert event["cost_usd"] > (9 + 2 * 4) / 1e6, "the loser's input is paid for, too"
