"""A model is not asked for what it is stated not to be able to do."""

from typing import Any

import pytest

from tests.fakes import answers
from tests.journeys.journey import QUADRANTS, open_journey

IMAGE: dict[str, Any] = {
    "openai": {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0KGgo="}},
    "anthropic": {
        "type": "image",
        "source": {"type": "base64", "media_type": "image/png", "data": "iVBORw0KGgo="},
    },
}
TOOLS: dict[str, Any] = {
    "openai": [{"type": "function", "function": {"name": "f"}}],
    "anthropic": [{"name": "f", "input_schema": {"type": "object"}}],
}
DROP = {"x-turnout-drop-params": "true"}


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("what", ["tools", "vision"])
@pytest.mark.parametrize(("caller", "provider"), QUADRANTS)
async def test_what_a_model_lacks_is_a_400_that_names_the_parameter(
    caller: str, provider: str, what: str, stream: bool
) -> None:
    content = [{"type": "text", "text": "what is this?"}, IMAGE[caller]]
    asked: dict[str, Any] = {"tools": TOOLS[caller]}
    if what == "vision":
        asked = {"messages": [{"role": "user", "content": content}]}
    async with open_journey([], provider, capabilities=["streaming", "json_schema"]) as journey:
        answer = await journey.ask(caller, stream=stream, **asked)
    assert answer.status == 400
    param = "tools" if what == "tools" else "messages[0].content[1]"
    assert f"'{param}'" in answer.json["error"]["message"]
    assert journey.event["code"] == "capability_missing"
    assert journey.upstream.requests == []


async def test_what_may_be_dropped_is_dropped_and_listed() -> None:
    async with open_journey([answers.whole("openai")], capabilities=["streaming"]) as journey:
        refused = await journey.ask(stream=False, logprobs=True)
        answer = await journey.ask(stream=False, headers=DROP, logprobs=True, top_logprobs=2)
    assert (refused.status, refused.json["error"]["param"]) == (400, "logprobs")
    assert answer.headers["x-turnout-dropped"] == "logprobs, top_logprobs"
    assert "logprobs" not in journey.upstream.requests[0].json


async def test_an_alias_leads_to_the_same_refusal() -> None:
    """A target that the gateway chose must not change what the answer is."""
    async with open_journey([], capabilities=[], aliases={"other": "the-model"}) as journey:
        answer = await journey.ask(stream=False, model="other", tools=TOOLS["openai"])
    assert (answer.status, answer.json["error"]["code"]) == (400, "capability_missing")
