"""Keeps secrets out of text: known ones in any usual encoding, unknown ones by their looks."""

import re
from base64 import b64encode
from collections.abc import Callable, Iterator, Mapping
from typing import Final
from urllib.parse import quote, quote_plus, unquote

from gateway.core import wire
from gateway.core.secret import Secret

MASK: Final = "***"
SHORTEST: Final = 8
"""A known secret below this length is not searched for: it would mask ordinary words."""
LONGEST_TEXT: Final = 8_192
"""Longer text is cut after redaction, never before: a cut could hide a secret's start."""

_GRAM = 6
_FARTHEST = 8
"""Every form is known by so many of its first grams, if it has them: one in so many is enough."""
_KEY_LIKE = re.compile(
    r"\b(?P<kind>sk|tk|pk|rk|gsk|xai|hf|pa|r8)[-_][A-Za-z0-9_\-]{8,}"
    r"|\bAIza[\w\-]{20,}|\bAKIA[A-Z0-9]{12,}|\bgh[pousr]_\w{16,}|\bxox[a-z]-[\w\-]{8,}"
    r"|\beyJ[\w\-]{8,}\.[\w\-]+\.[\w\-]*"
)
_NAMED = re.compile(
    r"(?P<name>(?:x-api-key|api[-_ ]?key|authorization|x-goog-api-key|cookie|password|secret)"
    r"(?:\\?[\"'])?\s*[:=]\s*(?:\\?[\"'])?(?:(?:bearer|basic)\s+)?|\b(?:bearer|basic)\s+)"
    r"[^\s\"'\\,;&}\])<>]{4,}",
    re.IGNORECASE,
)
_SECRET_NAME = re.compile(
    r"x-api-key|api[-_ ]?key|authorization|x-goog-api-key|cookie|password|secret", re.IGNORECASE
)
_NAMES: Final = ("key", "authorization", "cookie", "password", "secret", "bearer", "basic")
"""What every match of `_NAMED` holds one of."""
_PIECE: Final = 2_048
"""Characters that are looked through at once."""
_TRIES: Final = 20
"""Spaces at which a cut is tried; where secrets stand that close, all that is left is one piece."""
_AROUND: Final = 128
"""Characters on both sides of a cut in which no secret may stand, and of a longer one all."""
_USERINFO = re.compile(r"(?P<scheme>[a-z][a-z0-9+.\-]{1,20}://)[^\s/@\"']+@", re.IGNORECASE)
_ESCAPE = re.compile(r"\\(?:u([0-9a-fA-F]{4})|x([0-9a-fA-F]{2})|([\"'\\/]))")


class Redactor:
    """Masks secrets in text. One per process; every sink asks the same one."""

    def __init__(self) -> None:
        self._forms: dict[str, set[str]] = {}
        self._search: dict[str, re.Pattern[str]] = {}
        self._shortest = LONGEST_TEXT
        self._longest = _AROUND
        self._step = _FARTHEST

    def register(self, secret: Secret | str) -> None:
        """Mask this value from now on, plain, percent-encoded, base64, hex or escaped."""
        if isinstance(secret, Secret):
            if not secret.present:
                return
            secret = secret.reveal()
        if len(secret) < SHORTEST:
            return
        for form in _forms(secret):
            grams = len(form) - _GRAM + 1
            self._shortest = min(self._shortest, len(form))
            self._longest = max(self._longest, len(form))
            self._step = min(self._step, grams)
            for start in range(min(grams, _FARTHEST)):
                gram = form[start : start + _GRAM]
                self._forms.setdefault(gram, set()).add(form)
                self._search.pop(gram, None)

    def text(self, text: str) -> str:
        """Return the text without secrets, and not longer than LONGEST_TEXT."""
        text = self._clean(text)
        if len(text) > LONGEST_TEXT:
            text = text[:LONGEST_TEXT] + "... (cut)"
        return text

    def masked(self, value: object, rest: Callable[[], object]) -> object:
        """Return a JSON value without secrets and otherwise whole.

        What stands under a name such as `password` is a secret, too. `rest` is called after each
        piece of a text, for a thread that must not keep others from running.
        """
        if isinstance(value, str):
            return "".join([self._piece(piece, rest) for piece in self._pieces(value)])
        if isinstance(value, Mapping):
            return {
                self._clean(str(name)): MASK
                if isinstance(each, str) and _SECRET_NAME.fullmatch(str(name))
                else self.masked(each, rest)
                for name, each in value.items()
            }
        if isinstance(value, (list, tuple)):
            return [self.masked(each, rest) for each in value]
        return value

    def _pieces(self, text: str) -> Iterator[str]:
        """Cut a long text at spaces around which there is no secret that a cut could hide."""
        start = 0
        while start < len(text):
            end = start + _PIECE
            end = self._cut(text, end) if end < len(text) else len(text)
            yield text[start:end]
            start = end

    def _cut(self, text: str, end: int) -> int:
        for _ in range(_TRIES):
            if self._apart(text, end):
                return end
            end = text.find(" ", end + 1)
            if end < 0:
                break
        return len(text)

    def _apart(self, text: str, cut: int) -> bool:
        if not text[cut].isspace():
            return False
        around = text[max(0, cut - self._longest) : cut + self._longest]
        return self._clean(around) == around

    def _piece(self, text: str, rest: Callable[[], object]) -> str:
        clean = self._clean(text)
        rest()
        return clean

    def _clean(self, text: str) -> str:
        text = self._without_known(text)
        if "%" in text or "\\" in text:
            text = self._without_hidden(text)
        text = _KEY_LIKE.sub(_masked_key, text)
        if " " in text or ":" in text or "=" in text:
            if _names_one(text):  # these take a hundred times as long to find nothing
                text = _NAMED.sub(_masked_value, text)
            if "://" in text:
                text = _USERINFO.sub(_masked_user, text)
        return text

    def value(self, value: object) -> object:
        """Return a JSON value for anything: secrets by type are `***`, text is redacted."""
        if value is None or isinstance(value, (bool, int, float)):
            return value
        if isinstance(value, Mapping):
            return {self.text(str(name)): self.value(item) for name, item in value.items()}
        if isinstance(value, (list, tuple, set, frozenset)):
            return [self.value(item) for item in value]
        if isinstance(value, (bytes, bytearray, memoryview)):
            return f"<{len(value)} bytes>"
        return self.text(str(value))

    def _without_known(self, text: str) -> str:
        """Mask the forms of known secrets. The cost does not grow with their number.

        A form begins with `_step` overlapping grams or more, so a look at every `_step`-th place
        meets one of them.
        """
        forms = self._forms
        if len(text) < self._shortest:
            return text
        grams = {text[i : i + _GRAM] for i in range(0, len(text) - _GRAM + 1, self._step)}
        for gram in grams & forms.keys():
            search = self._search.get(gram)
            if search is None:
                longest_first = sorted(forms[gram], key=len, reverse=True)
                search = self._search[gram] = re.compile("|".join(map(re.escape, longest_first)))
            text = search.sub(MASK, text)
        return text

    def _without_hidden(self, text: str) -> str:
        """Mask what shows only once percent signs and backslashes are read; twice at most."""
        plain = text
        for _ in range(2):
            plain = _ESCAPE.sub(_unescaped, unquote(plain))
            clean = self._without_known(plain)
            if clean != plain:
                return clean
        return text


def _names_one(text: str) -> bool:
    lowered = text.lower()
    return any(name in lowered for name in _NAMES)


def _forms(secret: str) -> set[str]:
    raw = secret.encode()
    forms = {
        secret,
        quote(secret, safe=""),
        quote_plus(secret),
        wire.encode(secret).decode()[1:-1],
        raw.hex(),
        raw.hex().upper(),
    }
    # Base64 looks different at each offset of three; the characters shared with neighbours go.
    for offset in range(3):
        whole = b64encode(b"\0" * offset + raw).decode().rstrip("=")
        first = -(-offset * 8 // 6)
        last = (offset + len(raw)) * 8 // 6
        inner = whole[first:last]
        forms |= {inner, inner.replace("+", "-").replace("/", "_")}
    return forms


def _masked_key(found: re.Match[str]) -> str:
    kind = found["kind"]
    return f"{kind}-{MASK}" if kind else MASK


def _masked_value(found: re.Match[str]) -> str:
    return found["name"] + MASK


def _masked_user(found: re.Match[str]) -> str:
    return f"{found['scheme']}{MASK}@"


def _unescaped(found: re.Match[str]) -> str:
    code = found[1] or found[2]
    return chr(int(code, 16)) if code else found[3]
