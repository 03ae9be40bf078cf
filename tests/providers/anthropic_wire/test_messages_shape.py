"""A malformed Messages field is a BadRequest that names its place and never its value."""

import pytest

from gateway.core.errors import BadRequest, CapabilityMissing
from gateway.providers.anthropic_wire.messages_shape import (
    blocks,
    object_of,
    objects,
    text_of,
    texts,
)


def test_a_string_counts_as_one_text_block() -> None:
    assert list(blocks("hi", "system")) == [("system", {"type": "text", "text": "hi"})]


def test_each_object_of_a_list_comes_with_its_path() -> None:
    assert list(objects([{}, {"a": 1}], "tools")) == [("tools[0]", {}), ("tools[1]", {"a": 1})]


def test_empty_texts_are_left_out() -> None:
    content = [{"type": "text", "text": ""}, {"type": "text", "text": "b"}]
    assert list(texts(content, "system")) == ["b"]


def test_what_is_no_list_of_objects_is_refused() -> None:
    with pytest.raises(BadRequest, match="list"):
        list(objects("secret", "tools"))
    with pytest.raises(BadRequest, match="object") as raised:
        list(objects([1], "tools"))
    assert raised.value.param == "tools[0]"
    with pytest.raises(BadRequest, match="string or a list"):
        list(blocks(7, "system"))


def test_a_missing_or_wrong_member_is_named() -> None:
    with pytest.raises(BadRequest) as raised:
        text_of({"text": 1}, "text", "system[0]")
    assert raised.value.param == "system[0].text"
    with pytest.raises(BadRequest) as raised:
        object_of({}, "source", "content[1]")
    assert raised.value.param == "content[1].source"


def test_another_kind_of_block_where_only_text_may_be_is_a_missing_capability() -> None:
    with pytest.raises(CapabilityMissing):
        list(texts([{"type": "image"}], "system"))
    with pytest.raises(BadRequest):
        list(texts([{}], "system"))
