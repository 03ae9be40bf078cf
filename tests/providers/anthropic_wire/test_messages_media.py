"""What images, documents and search results of an Anthropic message become for a chat model."""

from typing import Any

import pytest

from tests.fakes.messages_call import chat, refusal, translate


def test_content_becomes_parts() -> None:
    content = [
        {"type": "text", "text": "look"},
        {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "AA=="}},
        {"type": "image", "source": {"type": "url", "url": "https://a.test/b.png"}},
        {
            "type": "document",
            "title": "a.pdf",
            "source": {"type": "base64", "media_type": "application/pdf", "data": "AA=="},
        },
        {
            "type": "document",
            "title": "Notes",
            "context": "from Tuesday",
            "source": {"type": "text", "media_type": "text/plain", "data": "milk"},
        },
        {
            "type": "document",
            "source": {"type": "content", "content": [{"type": "text", "text": "inner"}]},
        },
        {
            "type": "search_result",
            "title": "T",
            "source": "S",
            "content": [{"type": "text", "text": "C"}],
        },
        {"type": "text", "text": ""},
    ]
    file = {"filename": "a.pdf", "file_data": "data:application/pdf;base64,AA=="}
    assert chat(messages=[{"role": "user", "content": content}])["messages"][0]["content"] == [
        {"type": "text", "text": "look"},
        {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA=="}},
        {"type": "image_url", "image_url": {"url": "https://a.test/b.png"}},
        {"type": "file", "file": file},
        {"type": "text", "text": "Notes\nfrom Tuesday"},
        {"type": "text", "text": "milk"},
        {"type": "text", "text": "inner"},
        {"type": "text", "text": "T\nS\n\nC"},
    ]


PDF = {"type": "base64", "media_type": "application/pdf", "data": "AA=="}


@pytest.mark.parametrize(
    ("block", "param"),
    [
        ({"type": "image"}, "source"),
        ({"type": "image", "source": {"type": "base64", "media_type": "image/bmp"}}, "media_type"),
        ({"type": "image", "source": {"type": "file", "file_id": "f"}}, "source.type"),
        ({"type": "document", "source": {**PDF, "media_type": "text/rtf"}}, "media_type"),
        ({"type": "document", "source": PDF, "title": 1}, "title"),
        ({"type": "document", "source": {"type": "file"}}, "source.type"),
        ({"type": "hologram"}, "type"),
        ({}, "type"),
    ],
)
def test_a_block_that_cannot_be_said_is_refused_by_name(block: dict[str, Any], param: str) -> None:
    error = refusal(messages=[{"role": "user", "content": [block]}])
    assert error.status == 400
    assert error.param is not None
    assert error.param.startswith("messages[0].content[0]")
    assert error.param.endswith(param)


def test_citations_that_were_asked_for_are_a_loss_to_be_allowed() -> None:
    block = {"type": "document", "source": PDF, "citations": {"enabled": True}}
    messages = [{"role": "user", "content": [block]}]
    assert refusal(messages=messages).param == "citations"
    assert translate(messages=messages, drop=True).dropped == ("citations",)
