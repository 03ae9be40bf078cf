"""The features: how long, which words, which signs, laid out how.

One tokenisation, then look-ups: no pattern runs over the text twice, and none can backtrack.
Counts are log(1 + count), so that the tenth of something says less than the first.
"""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from math import log1p
from typing import Final

from msgspec import Struct

from gateway.stages.complexity_router.features.asking import Asked
from gateway.stages.complexity_router.features.lexicon import EMPTY, LISTS, PLACES

_TOKEN: Final = re.compile(r"[^\W\d_]+|\d[\d.,]*|[^\w\s]|_+")
_LATIN: Final = "\u024f"
"""The last letter of Latin Extended-B."""
_LONG: Final = 9
_VERY_LONG: Final = 12
_LONGEST_NUMBER: Final = 12
_MOST_OPTIONS: Final = 10
_OPTIONS: Final = frozenset("abcdefghij")
_KNOWN_SCRIPT: Final = 0.5

_WORDS: Final = (
    "words", "words a sentence", "word length", "long words", "very long words", "different words",
    "empty words", "letters alone", "other script", "numbers", "decimals", "longest number",
)  # fmt: skip
_SIGNS: Final[Mapping[str, str]] = {
    "operators": "+=*/^<>",
    "amounts": "$%€£",
    "backslashes": "\\",
    "brackets": "{}[];",
    "parentheses": "(",
    "backquotes": "`",
    "quotes": "\"'“",
    "commas": ",",
    "colons": ":",
    "question marks": "?",
}
_LAYOUT: Final = (
    "characters", "lines", "options", "option length", "options that differ", "options of numbers",
    "stem", "bullets", "indented lines", "blanks", "which of these", "how many",
)  # fmt: skip
_AROUND: Final = ("turns", "tools", "system prompt")
NAMES: Final = (*_WORDS, "sentences", *_SIGNS, *_LAYOUT, *LISTS, *_AROUND)
"""What each feature is, in the order of a `Shape`'s values. An artefact is trained for these."""


class Shape(Struct, frozen=True):
    """A request as numbers."""

    values: tuple[float, ...]
    """Finite; one for each of `NAMES`."""
    tokens: tuple[str, ...]
    """What wording is told by: lower-case words, numbers and signs, in their order."""
    known_script: bool
    """False where most letters belong to no Latin alphabet: the lists of words say nothing."""


def shape(asked: Asked) -> Shape:
    """Return the features of what is asked."""
    text = asked.text.lower()
    tokens = _TOKEN.findall(text)
    counts = Counter(tokens)
    sentences = counts["."] + counts["?"] + counts["!"] + 1
    words, listed = _words(counts, sentences)
    signs = (log1p(sum([counts[sign] for sign in each])) for each in _SIGNS.values())
    around = (log1p(asked.turns), log1p(asked.tools), log1p(asked.system_chars))
    layout = _layout(text, asked.chars)
    values = (*words, log1p(sentences), *signs, *layout, *map(log1p, listed), *around)
    other = words[_WORDS.index("other script")]
    return Shape(values, tuple(tokens), known_script=other <= _KNOWN_SCRIPT)


def _words(counts: Mapping[str, int], sentences: int) -> tuple[tuple[float, ...], list[int]]:
    """Return the features of `_WORDS`, and how many words are in each list."""
    listed = [0] * len(LISTS)
    words = different = long = very_long = empty = letters = alone = other = 0
    numbers: list[tuple[str, int]] = []
    for token, count in counts.items():
        first = token[0]
        if first.isalpha():
            size = len(token)
            words += count
            different += 1
            long += count * (size >= _LONG)
            very_long += count * (size >= _VERY_LONG)
            alone += count * (size == 1)
            other += count * (first > _LATIN)
            if token in EMPTY:
                empty += count
            else:
                letters += count * size
            for place in PLACES.get(token, ()):
                listed[place] += count
        elif first.isdigit():
            numbers.append((token.rstrip(".,"), count))
    some = words or 1
    full = words - empty
    told = (
        log1p(full), log1p(words / sentences), letters / (full or 1), long / some,
        very_long / some, different / some, empty / some, log1p(alone), other / some,
    )  # fmt: skip
    return told + _numbers(numbers), listed


def _numbers(numbers: Sequence[tuple[str, int]]) -> tuple[float, float, float]:
    decimals = sum(count for number, count in numbers if "." in number or "," in number)
    longest = max((len(number) for number, _ in numbers), default=0)
    return log1p(sum(n for _, n in numbers)), log1p(decimals), float(min(longest, _LONGEST_NUMBER))


def _layout(text: str, chars: int) -> tuple[float, ...]:
    """Return the features of `_LAYOUT`."""
    lines = text.split("\n")
    options: list[str] = []
    stem, bullets, indented = 0, 0, 0
    for line in lines:
        sign = line[1:2]
        if sign and sign in ".):" and line[0] in _OPTIONS:
            options.append(line[2:].strip())
        elif sign and (line[0] in "-*•" or (sign in ".)" and line[0].isdigit())):
            bullets += 1
        elif line.startswith(("  ", "\t")):
            indented += 1
        if not options:
            stem += len(line) + 1
    sizes = [len(option) for option in options] or [0]
    numeric = sum(option[:1].isdigit() or option[:1] in {"$", "-"} for option in options)
    return (
        log1p(chars), log1p(len(lines)), float(min(len(options), _MOST_OPTIONS)),
        log1p(sum(sizes) / len(sizes)), log1p(max(sizes) - min(sizes)), numeric / len(sizes),
        log1p(stem), log1p(bullets), log1p(indented), log1p(text.count("__")),
        float("which of the following" in text), float("how many" in text or "how much" in text),
    )  # fmt: skip
