"""The Lua scripts, one for each operation: a script runs alone, so all of it happens or nothing."""

from hashlib import sha1
from pathlib import Path

from msgspec import Struct

_FOLDER = Path(__file__).parent


class Script(Struct, frozen=True):
    """A script's text, and the digest by which a server that has loaded it knows it."""

    text: str
    digest: str


def _script(*names: str) -> Script:
    parts = [(_FOLDER / f"{name}.lua").read_text(encoding="utf-8") for name in ("common", *names)]
    text = "".join(parts)
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
AUDITS = _script("audits_since")
AUDITS_SWAP = _script("audits_swap")
TALLIES = _script("tallies")
ALL = (
    *(RESERVE, SETTLE, SWEEP, RESTORE, POLL, KEYS, KEYS_ALL, BULLETIN),
    *(AUDITS, AUDITS_SWAP, TALLIES),
)
PUT = _script("answers", "answers_put")
GET = _script("answers", "answers_get")
ROWS = _script("answers", "answers_rows")
LIST = _script("answers", "answers_list")
KILL = _script("answers", "answers_kill")
MARK = _script("answers", "answers_mark")
SWEEP_ANSWERS = _script("answers", "answers_sweep")
FEED = _script("answers", "answers_feed")
ANSWERS = (PUT, GET, ROWS, LIST, KILL, MARK, SWEEP_ANSWERS, FEED)
