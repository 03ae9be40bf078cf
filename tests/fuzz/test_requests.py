"""D18: requests nobody would write, over a real socket into the whole gateway."""

import asyncio
import http.client
import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.fakes import answers
from tests.fakes.mutations import mutated
from tests.fakes.upstream import Answer, Received, ScriptedUpstream, sse_reply
from tests.journeys.journey import CLIENT_KEY, PATHS, Journey, open_journey

TOKENS = (
    *(b'"', b"{", b"}", b"[", b"]", b":", b",", b"\\", b"null", b"true", b"-1", b"1e999", b"NaN"),
    *(b'"model"', b'"messages"', b'"role"', b'"content"', b'"stream"', b"the-model", b"\\ud800"),
    *(b'"tools"', b'"type"', b'"text"', b'"function"', b'"image_url"', b"\xff", b"\xef\xbb\xbf"),
)
LEAVES = (
    st.none()
    | st.booleans()
    | st.integers(-(1 << 70), 1 << 70)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=8)
    | st.sampled_from(["user", "assistant", "system", "tool", "text", "image_url", "auto", ""])
)
_WORDS = (
    "role content type text image_url url tool_calls function name id arguments tool_call_id"
    " source data media_type input thinking signature cache_control"
)
NAMES = st.text(max_size=4) | st.sampled_from(_WORDS.split(" "))
ANYTHING = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=4),
    max_leaves=10,
)
_FIELDS = (
    "messages model stream stream_options max_tokens temperature top_p stop stop_sequences tools"
    " tool_choice response_format system user metadata thinking reasoning_effort n seed logit_bias"
    " unknown"
)
FIELDS = st.dictionaries(st.sampled_from(_FIELDS.split(" ")), ANYTHING, max_size=4)
MESSAGES = st.lists(
    st.dictionaries(st.sampled_from(["role", "content", "tool_calls", "name"]), ANYTHING),
    max_size=3,
)
PLAIN: dict[str, Any] = {
    "model": "the-model",
    "max_tokens": 9,
    "messages": [{"role": "user", "content": "hi"}],
}


def written(fields: dict[str, Any]) -> bytes:
    return json.dumps({**PLAIN, **fields}).encode()


BODIES = (
    FIELDS.map(written)
    | MESSAGES.map(lambda messages: written({"messages": messages}))
    | mutated(FIELDS.map(written) | st.just(written({})), TOKENS)
    | st.binary(max_size=64)
)


class Fuzzed:
    """One connection to a gateway, used from a thread beside its loop."""

    def __init__(self, journey: Journey, upstream: ScriptedUpstream, path: str) -> None:
        self.journey = journey
        self.upstream = upstream
        self.path = path
        self.line = http.client.HTTPConnection("127.0.0.1", journey.gateway.port, timeout=10)
        self.served = 0

    def check(self, body: bytes, same_dialect: bool) -> None:
        """A 4xx or an answer; what was taken is forwarded as it came."""
        self.journey.asked += 1
        headers = {"content-type": "application/json", "authorization": f"Bearer {CLIENT_KEY}"}
        self.line.request("POST", self.path, body, headers)
        response = self.line.getresponse()
        said = response.read()
        assert response.status == 200 or 400 <= response.status < 500, (response.status, said)
        self.served += response.status == 200
        assert len(self.upstream.requests) == self.served
        if response.status == 200 and same_dialect:
            sent, got = json.loads(body), self.upstream.requests[-1].json
            if sent.get("stream") is True:
                sent["stream_options"] = {**(sent.get("stream_options") or {})}
                got["stream_options"].pop("include_usage")
                sent["stream_options"].pop("include_usage", None)
                assert got == sent
            else:
                assert self.upstream.requests[-1].body == body


@pytest.mark.slow
@pytest.mark.parametrize("provider", ["openai", "anthropic"])
@pytest.mark.parametrize("caller", ["openai", "anthropic"])
async def test_no_request_is_a_500_a_hang_or_a_task_left(caller: str, provider: str) -> None:
    """D18: the journey also checks that each has one event, without a warning."""

    def script(request: Received) -> Answer:
        streamed = request.json.get("stream") is True
        parts = answers.events(provider) if streamed else ()
        return sse_reply(parts) if streamed else answers.whole(provider)

    async with open_journey(script, provider) as journey:
        fuzzed = Fuzzed(journey, journey.upstream, PATHS[caller])

        @settings(suppress_health_check=list(HealthCheck))
        @given(BODIES)
        def run(body: bytes) -> None:
            fuzzed.check(body, same_dialect=caller == provider == "openai")

        await asyncio.to_thread(run)
        fuzzed.line.close()
    assert fuzzed.served
