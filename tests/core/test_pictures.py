"""What pictures count, and that their size is read without decoding them."""

from base64 import b64encode
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.pictures import ANTHROPIC_MOST, LOW, OPENAI_MOST, picture_tokens, size_of
from tests.fakes.pictures import data_url, gif, jpeg, png, webp

FILES = {
    "png": png(1200, 700),
    "gif": gif(1200, 700),
    "jpeg": jpeg(1200, 700),
    "jpeg without camera data": jpeg(1200, 700, before=0),
    **{kind.decode(): webp(kind, 1200, 700) for kind in (b"VP8 ", b"VP8L", b"VP8X")},
}


@pytest.mark.parametrize("name", FILES)
def test_the_size_is_what_the_file_says(name: str) -> None:
    text = data_url(FILES[name])
    assert size_of(text, text.index(",") + 1) == (1200, 700)


@pytest.mark.parametrize(
    "text",
    [
        *(None, 7, "", "A", "AAAA", "%" * 80, "é" * 80, "/9j/" + "A" * 80),
        b64encode(png(0, 5)).decode(),
        b64encode(b"\xff\xd8" + b"\xff" * 500).decode(),
        b64encode(b"RIFF\0\0\0\0WEBPVP9 " + bytes(40)).decode(),
    ],
)
def test_what_is_no_picture_has_no_size(text: object) -> None:
    assert size_of(text, 0) is None


@given(st.binary(max_size=200))
def test_no_bytes_are_an_error(file: bytes) -> None:
    for start in (b"", b"\xff\xd8", b"GIF89a", b"RIFF\0\0\0\0WEBPVP8X", b"\x89PNG\r\n\x1a\n"):
        size_of(b64encode(start + file).decode(), 0)


def of_openai(url: str, **more: Any) -> dict[str, Any]:
    return {"type": "image_url", "image_url": {"url": url, **more}}


@pytest.mark.parametrize(
    ("width", "height", "tokens"),
    # The first two are the examples of OpenAI's guide.
    [(1024, 1024, 765), (2048, 4096, 1105), (512, 512, 255), (1, 1, 255), (6000, 2000, 1445)],
)
def test_openai_counts_tiles(width: int, height: int, tokens: int) -> None:
    url = data_url(png(width, height))
    assert picture_tokens(of_openai(url)) == tokens
    assert picture_tokens({"type": "input_image", "image_url": url}) == tokens
    assert picture_tokens(of_openai(url, detail="low")) == LOW


@pytest.mark.parametrize(
    ("width", "height", "tokens"),
    # All but the last are in the table of Anthropic's guide.
    [(200, 200, 54), (1000, 1000, 1334), (1092, 1092, 1590), (8000, 8000, 1600), (3136, 100, 105)],
)
def test_anthropic_counts_pixels(width: int, height: int, tokens: int) -> None:
    data = b64encode(png(width, height)).decode()
    source = {"type": "base64", "media_type": "image/png", "data": data}
    assert picture_tokens({"type": "image", "source": source}) == tokens


def test_a_picture_whose_size_is_not_known_counts_the_most() -> None:
    assert picture_tokens(of_openai("https://example.com/cat.png")) == OPENAI_MOST
    assert picture_tokens({"type": "image_url", "image_url": 7}) == OPENAI_MOST
    source = {"type": "url", "url": "https://example.com/cat.png"}
    assert picture_tokens({"type": "image", "source": source}) == ANTHROPIC_MOST
