"""Every recording, replayed for a caller of the same dialect: the bytes come through."""

import json

import aiohttp
import pytest

from tests.fakes.doors import open_doors
from tests.fakes.upstream import Answer, json_reply, open_upstream, sse_reply
from tests.recordings.recorded import (
    PATHS,
    Recording,
    chosen,
    data_lines,
    needs_recordings,
    recordings,
)

SERVED = tuple(PATHS)
NOT_SERVED = {"responses": "/v1/responses is not an endpoint of this gateway"}


def upstream_answer(recording: Recording) -> Answer:
    headers = dict(recording.headers)
    if recording.stream:
        return sse_reply([recording.body], recording.status, headers)
    return json_reply(recording.body, recording.status, headers)


@needs_recordings
def test_every_recording_is_replayed_or_has_a_written_reason() -> None:
    found = recordings()
    assert len(found) >= 93
    assert {r.endpoint for r in found} <= {*SERVED, *NOT_SERVED}
    assert sum(r.endpoint == "responses" for r in found) == 8


@needs_recordings
@pytest.mark.parametrize("recording", chosen(*SERVED), ids=lambda r: r.name)
async def test_the_bytes_of_a_recording_pass_untouched(recording: Recording) -> None:
    sent = recording.sent
    async with (
        open_upstream([upstream_answer(recording)]) as upstream,
        open_doors(upstream, recording.dialect, model=sent["model"]) as doors,
        aiohttp.ClientSession() as session,
        session.post(doors.url + PATHS[recording.endpoint], json=sent) as answer,
    ):
        body = await answer.read()
    assert answer.status == recording.status
    assert _without_our_comments(body, recording) == recording.body
    [received] = upstream.requests
    asked = json.loads(received.body)
    if recording.stream and recording.dialect == "openai" and "stream_options" not in sent:
        assert asked.pop("stream_options") == {"include_usage": True}
    assert asked == sent
    assert "x-request-id" in answer.headers


@needs_recordings
@pytest.mark.parametrize("recording", [r for r in chosen("chat") if r.stream], ids=lambda r: r.name)
async def test_usage_that_the_client_did_not_ask_for_is_hidden(recording: Recording) -> None:
    sent = {k: v for k, v in recording.sent.items() if k != "stream_options"}
    async with (
        open_upstream([upstream_answer(recording)]) as upstream,
        open_doors(upstream, "openai", model=sent["model"]) as doors,
        aiohttp.ClientSession() as session,
        session.post(doors.url + PATHS["chat"], json=sent) as answer,
    ):
        body = await answer.read()
    assert json.loads(upstream.requests[0].body)["stream_options"] == {"include_usage": True}
    chunks = list(data_lines(body))
    assert not [c for c in chunks if "usage" in c]
    recorded = [c for c in data_lines(recording.body) if c["choices"] or not c.get("usage")]
    assert [{k: v for k, v in c.items() if k != "usage"} for c in recorded] == chunks


def _without_our_comments(body: bytes, recording: Recording) -> bytes:
    if not recording.stream:
        return body
    lines = body.split(b"\n\n")
    return b"\n\n".join(line for line in lines if not line.startswith(b": turnout"))
