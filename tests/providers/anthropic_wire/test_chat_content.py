"""What parts of OpenAI messages become, and what thinking that comes back becomes."""

from base64 import b64encode
from typing import Any

import pytest

from gateway.core.errors import BadRequest
from gateway.providers.anthropic_wire.chat_content import blocks, thinking_blocks
from tests.fakes.chat_call import PNG


def _one(**part: Any) -> dict[str, Any]:
    (block,) = blocks([part], "at")
    return block


def _refused(content: object, *, text_only: bool = False) -> BadRequest:
    with pytest.raises(BadRequest) as caught:
        blocks(content, "at", text_only=text_only)
    return caught.value


def test_text_of_either_form_is_a_block_and_empty_text_is_none() -> None:
    assert blocks("hi", "at") == [{"type": "text", "text": "hi"}]
    assert blocks([{"type": "text", "text": "hi"}], "at") == [{"type": "text", "text": "hi"}]
    assert (
        blocks(None, "at") == blocks("", "at") == blocks([{"type": "text", "text": ""}], "") == []
    )


def test_a_refusal_part_is_text() -> None:
    assert _one(type="refusal", refusal="no") == {"type": "text", "text": "no"}


def test_a_picture_in_the_request_keeps_its_type_and_data() -> None:
    source = {"type": "base64", "media_type": "image/png", "data": "iVBORw0KGgo="}
    assert _one(type="image_url", image_url={"url": PNG, "detail": "low"})["source"] == source
    jpg = _one(type="image_url", image_url="data:image/JPG;base64,AA==")
    assert jpg["source"]["media_type"] == "image/jpeg"


def test_a_picture_elsewhere_keeps_its_address() -> None:
    block = _one(type="image_url", image_url={"url": "https://x.example/a.png"})
    assert block == {"type": "image", "source": {"type": "url", "url": "https://x.example/a.png"}}


@pytest.mark.parametrize(
    "url",
    [
        "http://x.example/a.png",
        "data:image/png,plain",
        "data:image/tiff;base64,AA==",
        "file:///a",
        5,
    ],
)
def test_a_picture_that_cannot_be_sent_is_refused(url: object) -> None:
    error = _refused([{"type": "image_url", "image_url": {"url": url}}])
    assert error.param == "at[0].image_url.url"


def test_a_pdf_is_a_document_under_its_name() -> None:
    file = {"file_data": "data:application/pdf;base64,JVBERi0=", "filename": "a.pdf"}
    source = {"type": "base64", "media_type": "application/pdf", "data": "JVBERi0="}
    assert _one(type="file", file=file) == {"type": "document", "source": source, "title": "a.pdf"}


def test_a_text_file_is_a_document_of_its_text() -> None:
    data = "data:text/plain;charset=utf-8;base64," + b64encode("grüße".encode()).decode()
    source = {"type": "text", "media_type": "text/plain", "data": "grüße"}
    assert _one(type="file", file={"file_data": data}) == {"type": "document", "source": source}


def test_a_picture_sent_as_a_file_is_a_picture() -> None:
    assert _one(type="file", file={"file_data": PNG})["type"] == "image"


@pytest.mark.parametrize(
    ("file", "param"),
    [
        ("x", "at[0].file"),
        ({"file_id": "file-1"}, "at[0].file.file_id"),
        ({}, "at[0].file.file_data"),
        ({"file_data": "JVBERi0="}, "at[0].file.file_data"),
        ({"file_data": "data:application/zip;base64,AA=="}, "at[0].file.file_data"),
        ({"file_data": "data:text/plain;base64,A"}, "at[0].file.file_data"),
        ({"file_data": "data:text/plain;base64,/w=="}, "at[0].file.file_data"),
    ],
)
def test_a_file_that_cannot_be_sent_is_refused(file: object, param: str) -> None:
    assert _refused([{"type": "file", "file": file}]).param == param


@pytest.mark.parametrize(
    ("content", "param"),
    [
        (5, "at"),
        (["x"], "at[0]"),
        ([{"type": "text", "text": 5}], "at[0].text"),
        ([{"type": "video_url"}], "at[0].type"),
        ([{"type": ["text"]}], "at[0].type"),
        ([{"type": "input_audio", "input_audio": {"data": "", "format": "wav"}}], "at[0]"),
        ([{"type": "text", "text": "a", "cache_control": 1}], "at[0].cache_control"),
    ],
)
def test_what_is_no_content_is_refused_by_its_place(content: object, param: str) -> None:
    assert _refused(content).param == param


def test_where_only_text_may_stand_a_picture_is_refused() -> None:
    part = {"type": "image_url", "image_url": {"url": PNG}}
    assert _refused([part], text_only=True).param == "at[0].type"


@pytest.mark.parametrize(
    "part",
    [
        {"type": "text", "text": "a"},
        {"type": "image_url", "image_url": {"url": PNG}},
        {"type": "file", "file": {"file_data": "data:application/pdf;base64,AA=="}},
    ],
)
def test_cache_control_stays_on_every_kind_of_part(part: dict[str, Any]) -> None:
    mark = {"type": "ephemeral", "ttl": "1h"}
    assert _one(**part, cache_control=mark)["cache_control"] == mark


def test_anthropics_own_thinking_blocks_come_back_unmodified() -> None:
    given = [
        {"type": "thinking", "thinking": "", "signature": "S"},
        {"type": "redacted_thinking", "data": "D"},
    ]
    unsigned = [{"type": "thinking", "thinking": "x"}, {"type": "redacted_thinking"}]
    assert thinking_blocks({"thinking_blocks": given + unsigned}, "at") == given


def test_reasoning_details_come_back_as_the_blocks_they_were() -> None:
    details = [
        {"type": "reasoning.text", "text": "a", "signature": "S", "format": "anthropic-claude-v1"},
        {"type": "reasoning.encrypted", "data": "D"},
        {"type": "thinking", "thinking": "b", "signature": "T"},
    ]
    assert thinking_blocks({"reasoning_details": details}, "at") == [
        {"type": "thinking", "thinking": "a", "signature": "S"},
        {"type": "redacted_thinking", "data": "D"},
        {"type": "thinking", "thinking": "b", "signature": "T"},
    ]


def test_fragments_that_a_client_collected_are_one_thought_again() -> None:
    details = [
        {"type": "reasoning.text", "text": "a", "index": 0},
        {"type": "reasoning.text", "text": "b", "index": 0},
        {"type": "reasoning.text", "signature": "S", "index": 0},
        {"type": "reasoning.text", "text": "c", "signature": "T", "index": 1},
    ]
    assert thinking_blocks({"reasoning_details": details}, "at") == [
        {"type": "thinking", "thinking": "ab", "signature": "S"},
        {"type": "thinking", "thinking": "c", "signature": "T"},
    ]


def test_reasoning_that_anthropic_did_not_sign_stays_out() -> None:
    details = [
        {"type": "reasoning.text", "text": "a"},
        {"type": "reasoning.summary", "summary": "a"},
        {"type": "reasoning.encrypted", "data": "D", "format": "openai-responses-v1"},
    ]
    assert thinking_blocks({"reasoning_details": details}, "at") == []
    assert thinking_blocks({"reasoning_content": "a"}, "at") == []


@pytest.mark.parametrize("name", ["thinking_blocks", "reasoning_details"])
def test_thinking_that_is_no_list_of_objects_is_refused(name: str) -> None:
    for value in ("x", ["x"]):
        with pytest.raises(BadRequest) as caught:
            thinking_blocks({name: value}, "at")
        assert caught.value.param == f"at.{name}"
