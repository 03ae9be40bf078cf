"""What becomes of texts of every length and kind."""

import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.semantic.minilm import DIMENSIONS, WINDOW
from gateway.semantic.minilm.engine import LONGEST, MiniLMEngine


def test_every_text_gets_a_vector_of_norm_one(engine: MiniLMEngine) -> None:
    texts = ["", " ", "a", "Hello!", "漢字" * 50, "\x00\x01", "🙂 " * 20, "word " * 400]
    for embedded in engine(texts):
        vector = np.frombuffer(embedded.vector, "<f4")
        assert vector.shape == (DIMENSIONS,)
        assert abs(float(np.linalg.norm(vector)) - 1) < 1e-3


def test_tokens_are_counted_with_their_two_marks(engine: MiniLMEngine) -> None:
    (embedded,) = engine(["What is the capital of France?"])
    assert embedded.tokens == 9
    assert not embedded.truncated


def test_a_text_that_just_fits_the_window_is_not_truncated_and_one_word_more_is(
    engine: MiniLMEngine,
) -> None:
    fits, longer = engine(["dog " * (WINDOW - 2), "dog " * (WINDOW - 1)])
    assert (fits.tokens, fits.truncated) == (WINDOW, False)
    assert (longer.tokens, longer.truncated) == (WINDOW + 1, True)
    assert fits.vector == longer.vector


def test_a_megabyte_is_never_tokenised_whole_and_counts_as_truncated(engine: MiniLMEngine) -> None:
    beginning = "dog " * (LONGEST // 4)
    huge, short = engine([beginning + "cat " * 250_000, beginning])
    assert huge.vector == short.vector
    assert huge.truncated
    assert huge.tokens > 200_000


def test_a_megabyte_of_spaces_is_no_whole_text_either(engine: MiniLMEngine) -> None:
    (embedded,) = engine(["hello" + " " * 1_000_000 + "world"])
    assert embedded.truncated
    assert embedded.tokens > WINDOW


def test_the_models_own_marks_are_plain_text_in_a_text(engine: MiniLMEngine) -> None:
    (embedded,) = engine(["[SEP]"])
    assert embedded.tokens == 5  # a bracket, `sep`, a bracket, and the two marks


def test_half_a_character_is_read_as_a_question_mark(engine: MiniLMEngine) -> None:
    half, whole = engine(["what\ud800", "what?"])
    assert half.vector == whole.vector


@given(texts=st.lists(st.text(max_size=300), max_size=5))
@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_vectors_come_back_in_the_order_of_their_texts(
    engine: MiniLMEngine, texts: list[str]
) -> None:
    for text, embedded in zip(texts, engine(texts), strict=True):
        alone = engine([text])[0]
        a, b = (np.frombuffer(each.vector, "<f4") for each in (alone, embedded))
        assert float(a @ b) > 0.99999
        assert (alone.tokens, alone.truncated) == (embedded.tokens, embedded.truncated)
