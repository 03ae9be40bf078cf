"""The Lua scripts, one for each operation: a script runs alone, so all of it happens or nothing."""

from hashlib import sha1
from pathlib import Path

from msgspec import Struct

_FOLDER = Path(__file__).parent


class Script(Struct, frozen=True):
    """A script's text, and the digest by which a server that has loaded it knows it."""

    text: str
    digest: str


def _script(name: str) -> Script:
    common = (_FOLDER / "common.lua").read_text(encoding="utf-8")
    text = common + (_FOLDER / f"{name}.lua").read_text(encoding="utf-8")
    # The digest is a name that Redis chose, not a safeguard.
    return Script(text, sha1(text.encode(), usedforsecurity=False).hexdigest())


RESERVE = _script("reserve")
SETTLE = _script("settle")
SWEEP = _script("sweep")
RESTORE = _script("restore")
POLL = _script("poll")
KEYS = _script("keys")
KEYS_ALL = _script("keys_all")
BULLETIN = _script("bulletin")
ALL = (RESERVE, SETTLE, SWEEP, RESTORE, POLL, KEYS, KEYS_ALL, BULLETIN)
