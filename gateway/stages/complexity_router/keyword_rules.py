"""A router by keywords and fixed weights, as LiteLLM's `complexity_router` publishes the idea.

Written anew from its documented dimensions and weights, with lists of our own, to be compared
with: nothing here routes. A dimension counts half from one keyword and whole from two.
"""

from collections.abc import Sequence
from typing import Final

_CODE: Final = (
    "function", "class ", "def ", "import ", "python", "javascript", "sql", "api", "database",
    "debug", "compile", "algorithm", "refactor", "```", "const ", "async",
)  # fmt: skip
_REASONING: Final = (
    "step by step", "think through", "analyze", "reasoning", "explain why", "prove", "derive",
    "pros and cons", "trade-off", "evaluate", "let's think", "justify",
)  # fmt: skip
_TECHNICAL: Final = (
    "architecture", "distributed", "encryption", "protocol", "kubernetes", "latency", "scalab",
    "optimiz", "concurren", "infrastructure", "machine learning", "neural", "statistic", "theorem",
)  # fmt: skip
_SIMPLE: Final = ("what is", "who is", "when did", "define", "hello", "hi ", "thanks", "how are")
_STEPS: Final = ("first", "then", "finally", "step 1", "1.", "next,")
_WEIGHTS: Final = ((0.30, _CODE), (0.25, _REASONING), (0.25, _TECHNICAL), (0.03, _STEPS))
_LENGTH_WEIGHT: Final = 0.10
_SIMPLE_WEIGHT: Final = 0.05
_QUESTIONS_WEIGHT: Final = 0.02
_ENOUGH: Final = 2
_FEW_TOKENS: Final = 15
_MANY_TOKENS: Final = 400
_MANY_QUESTIONS: Final = 3
_CHARS_A_TOKEN: Final = 4


def keyword_score(prompt: str) -> float:
    """Return how complex keywords find a prompt, from about -0.15 to 1."""
    text = prompt.lower()
    tokens = len(text) / _CHARS_A_TOKEN
    length = -1 if tokens < _FEW_TOKENS else int(tokens > _MANY_TOKENS)
    score = sum(weight * _hits(text, words) for weight, words in _WEIGHTS)
    score += _LENGTH_WEIGHT * length - _SIMPLE_WEIGHT * _hits(text, _SIMPLE)
    return score + _QUESTIONS_WEIGHT * (text.count("?") > _MANY_QUESTIONS)


def _hits(text: str, words: Sequence[str]) -> float:
    return min(_ENOUGH, sum(word in text for word in words)) / _ENOUGH
