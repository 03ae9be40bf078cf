"""Every part of a request's messages is found, with its place."""

from typing import Any

import pytest

from gateway.core.parts import message_parts

TEXT = {"type": "text", "text": "a"}


def found(*content: Any) -> list[tuple[str, str]]:
    messages = [{"role": "user", "content": each} for each in content]
    return [(part.kind, part.path) for part in message_parts({"messages": messages})]


def test_the_parts_of_all_messages_are_told_with_their_places() -> None:
    assert found([TEXT, {"type": "image_url"}], "text", [TEXT]) == [
        ("text", "messages[0].content[0]"),
        ("image_url", "messages[0].content[1]"),
        ("text", "messages[2].content[0]"),
    ]


def test_parts_within_a_tool_result_and_a_document_follow_it() -> None:
    document = {"type": "document", "source": {"type": "content", "content": [{"type": "image"}]}}
    result = {"type": "tool_result", "content": [document, TEXT]}
    assert found([result, TEXT]) == [
        ("tool_result", "messages[0].content[0]"),
        ("document", "messages[0].content[0].content[0]"),
        ("image", "messages[0].content[0].content[0].source.content[0]"),
        ("text", "messages[0].content[0].content[1]"),
        ("text", "messages[0].content[1]"),
    ]


@pytest.mark.parametrize("odd", ["text", 7, None, {"type": "text"}])
def test_what_is_no_list_of_parts_has_none(odd: object) -> None:
    assert found(odd) == []
    assert list(message_parts({"messages": odd})) == []
    assert found([odd]) == ([("text", "messages[0].content[0]")] if isinstance(odd, dict) else [])


def test_a_type_that_is_no_text_is_no_kind() -> None:
    assert found([{"type": ["image"]}, {}]) == [
        ("", "messages[0].content[0]"),
        ("", "messages[0].content[1]"),
    ]
