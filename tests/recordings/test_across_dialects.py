"""Every recording, replayed for a caller of the other dialect and read by its official SDK."""

import json
from typing import Any

import anthropic
import openai
import pytest
from openai.lib.streaming.chat import ChatCompletionStreamState
from openai.types.chat import ChatCompletion

from tests.fakes.doors import open_doors
from tests.fakes.upstream import open_upstream
from tests.recordings.recorded import (
    Answer,
    Recording,
    chosen,
    needs_recordings,
    said_by_anthropic,
    said_by_openai,
)
from tests.recordings.test_same_dialect import upstream_answer

MODEL = "recorded-model"
FINISH = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "pause_turn": "stop",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "tool_use": "tool_calls",
    "refusal": "content_filter",
}
STOP = {
    "stop": "end_turn",
    "length": "max_tokens",
    "tool_calls": "tool_use",
    "content_filter": "refusal",
    "function_call": "tool_use",
}
NO_COUNTERPART = {
    "completions": "the legacy endpoint has no Anthropic counterpart",
    "embeddings": "Anthropic has no embeddings",
    "count_tokens": "OpenAI has no token counting endpoint",
}


def _good(*endpoints: str) -> list[Recording]:
    return [r for r in chosen(*endpoints) if r.status == 200 and not _breaks(r)]


def _breaks(recording: Recording) -> bool:
    """Whether the provider reports an error in the middle of its stream."""
    return recording.stream and b'"error":{' in recording.body


@needs_recordings
@pytest.mark.parametrize("recording", _good("messages"), ids=lambda r: r.name)
async def test_an_anthropic_recording_reads_the_same_through_the_openai_sdk(
    recording: Recording,
) -> None:
    async with (
        open_upstream([upstream_answer(recording)]) as upstream,
        open_doors(upstream, "anthropic", model=MODEL) as doors,
        openai.AsyncOpenAI(base_url=doors.url + "/v1", api_key="x", max_retries=0) as client,
    ):
        got = await _ask_openai(client, stream=recording.stream)
    want = said_by_anthropic(recording)
    assert got.text.removesuffix(_refusal(recording)) == want.text
    assert got.calls == want.calls
    assert got.stop == FINISH[want.stop or ""]
    assert got.usage == want.usage


@needs_recordings
@pytest.mark.parametrize("recording", _good("chat"), ids=lambda r: r.name)
async def test_an_openai_recording_reads_the_same_through_the_anthropic_sdk(
    recording: Recording,
) -> None:
    async with (
        open_upstream([upstream_answer(recording)]) as upstream,
        open_doors(upstream, "openai", model=MODEL) as doors,
        anthropic.AsyncAnthropic(base_url=doors.url, api_key="x", max_retries=0) as client,
    ):
        got = await _ask_anthropic(client, stream=recording.stream)
    want = said_by_openai(recording)
    assert got.text == want.text
    assert [c[1:] for c in got.calls] == [c[1:] for c in want.calls]
    assert [c[0] for c in got.calls] == [c[0] or got.calls[i][0] for i, c in enumerate(want.calls)]
    assert got.stop == _stop(recording, want)
    assert got.usage == want.usage


@needs_recordings
@pytest.mark.parametrize(
    "recording", [r for r in chosen("chat") if r.status != 200], ids=lambda r: r.name
)
async def test_a_recorded_openai_error_is_typed_for_the_anthropic_sdk(recording: Recording) -> None:
    async with (
        open_upstream([upstream_answer(recording)]) as upstream,
        open_doors(upstream, "openai", model=MODEL) as doors,
        anthropic.AsyncAnthropic(base_url=doors.url, api_key="x", max_retries=0) as client,
    ):
        with pytest.raises(anthropic.APIStatusError) as raised:
            await _ask_anthropic(client, stream=False)
    assert raised.value.status_code == recording.status
    message = json.loads(recording.body)["error"]["message"]
    assert isinstance(raised.value.body, dict)
    assert raised.value.body["error"]["message"] == message


@needs_recordings
@pytest.mark.parametrize(
    "recording", [r for r in chosen("chat") if _breaks(r)], ids=lambda r: r.name
)
async def test_a_recorded_error_in_mid_stream_raises_in_the_anthropic_sdk(
    recording: Recording,
) -> None:
    async with (
        open_upstream([upstream_answer(recording)]) as upstream,
        open_doors(upstream, "openai", model=MODEL) as doors,
        anthropic.AsyncAnthropic(base_url=doors.url, api_key="x", max_retries=0) as client,
    ):
        with pytest.raises(anthropic.APIStatusError) as raised:
            await _ask_anthropic(client, stream=True)
    [event] = [line for line in recording.body.splitlines() if b'"error":{' in line]
    message = json.loads(event.removeprefix(b"data: "))["error"]["message"]
    assert isinstance(raised.value.body, dict)
    assert raised.value.body["error"]["message"] == message


@needs_recordings
def test_every_recording_without_a_counterpart_has_a_written_reason() -> None:
    left = {r.endpoint for r in chosen("completions", "embeddings", "count_tokens")}
    assert left == set(NO_COUNTERPART)


async def _ask_openai(client: openai.AsyncOpenAI, *, stream: bool) -> Answer:
    messages: Any = [{"role": "user", "content": "Hello"}]
    if not stream:
        whole: ChatCompletion = await client.chat.completions.create(model=MODEL, messages=messages)
    else:
        state = ChatCompletionStreamState()
        chunks = await client.chat.completions.create(
            model=MODEL, messages=messages, stream=True, stream_options={"include_usage": True}
        )
        async for chunk in chunks:
            state.handle_chunk(chunk)
        whole = state.current_completion_snapshot  # the final one raises for refusals
    [choice] = whole.choices
    calls = []
    for call in choice.message.tool_calls or []:
        assert call.type == "function"
        calls.append((call.id, call.function.name, json.loads(call.function.arguments)))
    assert whole.usage is not None
    details = whole.usage.prompt_tokens_details
    usage = {
        "input": whole.usage.prompt_tokens,
        "output": whole.usage.completion_tokens,
        "cached": (details.cached_tokens if details else 0) or 0,
    }
    text = (choice.message.content or "") + (choice.message.refusal or "")
    return Answer(text, calls, choice.finish_reason, usage)


async def _ask_anthropic(client: anthropic.AsyncAnthropic, *, stream: bool) -> Answer:
    messages: Any = [{"role": "user", "content": "Hello"}]
    if not stream:
        whole = await client.messages.create(model=MODEL, max_tokens=100, messages=messages)
    else:
        async with client.messages.stream(model=MODEL, max_tokens=100, messages=messages) as events:
            whole = await events.get_final_message()
    text = "".join(b.text for b in whole.content if b.type == "text")
    calls = [(b.id, b.name, b.input) for b in whole.content if b.type == "tool_use"]
    read = whole.usage.cache_read_input_tokens or 0
    written = whole.usage.cache_creation_input_tokens or 0
    usage = {
        "input": whole.usage.input_tokens + read + written,
        "output": whole.usage.output_tokens,
        "cached": read,
    }
    return Answer(text, calls, whole.stop_reason, usage)


def _refusal(recording: Recording) -> str:
    """The explanation that an Anthropic refusal carries beside its text."""
    for line in recording.body.decode().splitlines():
        if '"stop_details":{' in line:
            event = json.loads(line.removeprefix("data:"))
            details = event.get("delta", event)["stop_details"]
            return str(details.get("explanation") or "")
    return ""


def _stop(recording: Recording, want: Answer) -> str:
    """Calls always mean tool_use; a refusal text means refusal; the rest goes by the table."""
    if want.calls:
        return "tool_use"
    if b'"refusal": "' in recording.body and not recording.stream:
        return "refusal"
    return STOP[want.stop or "stop"]
