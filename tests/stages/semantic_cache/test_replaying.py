import asyncio
import json
from collections.abc import Mapping
from typing import Any

from gateway.core.assemble import assembler_for
from gateway.core.notes import StreamEnded
from gateway.core.reply import Reply, Stream, Whole
from gateway.core.sse import DONE
from tests.fakes.cached import ANSWER, ASK, CachedHouse
from tests.fakes.clock import settle
from tests.fakes.relay import read

RICH: dict[str, Any] = {
    **ANSWER,
    "system_fingerprint": "fp_1",
    "choices": [
        {
            "index": 0,
            "message": {
                "role": "assistant",
                "reasoning_content": "A capital is asked for. " * 300,
                "content": "Paris. " * 900,
                "refusal": None,
            },
            "logprobs": {"content": [{"token": "Paris", "logprob": -1.25e-7, "top_logprobs": []}]},
            "finish_reason": "stop",
        }
    ],
    "usage": {
        "prompt_tokens": 100,
        "completion_tokens": 7,
        "total_tokens": 107,
        "completion_tokens_details": {"reasoning_tokens": 3},
    },
}
OWN = ("id", "created")


def plain(answer: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in answer.items() if name not in OWN}


async def kept(answer: Mapping[str, Any] = RICH, **policy: Any) -> CachedHouse:
    house = CachedHouse(**policy)
    house.provider.body = json.dumps(answer).encode()
    await house.whole()
    return house


async def test_reasoning_logprobs_and_usage_survive_a_whole_replay() -> None:
    house = await kept()
    assert plain(await house.whole()) == plain(RICH)


async def test_a_stream_of_it_folds_back_into_the_same_answer() -> None:
    house = await kept()
    assembler = assembler_for("chat")
    told = await house.stream(stream_options={"include_usage": True})
    assembler.feed(told)
    body, usage = assembler.finish()
    answer = json.loads(body)
    assert plain(answer) == plain(RICH)
    assert answer["id"].startswith("chatcmpl-")
    assert usage is not None
    assert usage.reasoning == 3


async def test_who_does_not_ask_for_usage_is_not_told_it() -> None:
    house = await kept()
    told = await house.stream()
    assert b"usage" not in told
    assert told.endswith(DONE)


async def test_a_stored_stream_and_the_whole_of_it_are_one_entry() -> None:
    house = CachedHouse()
    await house.stream()
    answer = await house.whole()
    assert house.calls == 1
    assert answer["choices"][0]["message"] == {"role": "assistant", "content": "hello"}
    assert answer["usage"] == {
        "prompt_tokens": 100,
        "completion_tokens": 7,
        "total_tokens": 107,
        "prompt_tokens_details": {"cached_tokens": 0},
        "completion_tokens_details": {"reasoning_tokens": 0},
    }


async def test_a_paced_stream_comes_as_if_it_were_written_now() -> None:
    house = await kept(ANSWER, replay="paced", pace=40)
    began = house.clock.now
    reply = await house.ask(ASK, stream=True)
    assert isinstance(reply, Stream)
    task = asyncio.create_task(read(reply))
    await settle()
    assert not task.done()
    await house.clock.advance(10)
    assert (await task).endswith(DONE)
    assert reply.tally.clean
    await reply.blocks.aclose()
    assert began + 10 == house.clock.now


async def test_the_end_of_a_replayed_stream_is_noted_as_that_of_any_other() -> None:
    house = await kept()
    await house.stream()
    ended = house.notes.last(StreamEnded)
    assert ended is not None
    assert (ended.reason, ended.code) == ("done", "")
    assert ended.blocks > 3
    left = await house.ask(stream=True)
    assert isinstance(left, Stream)
    await left.blocks.__anext__()
    await left.blocks.aclose()
    assert [note.reason for note in house.notes.all(StreamEnded)] == ["client_gone"]


async def test_every_replay_has_a_name_of_its_own() -> None:
    house = await kept()
    replies: list[Reply] = [await house.ask() for _ in range(3)]
    names = {json.loads(r.body)["id"] for r in replies if isinstance(r, Whole)}
    assert len(names) == 3
