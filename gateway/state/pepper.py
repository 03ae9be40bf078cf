"""The pepper of this data directory: made once, whoever comes first, and readable by us only."""

import os
import tempfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Final

from gateway.core.errors import StateUnavailable
from gateway.core.secret import Secret

FILE: Final = "pepper"
LEAST: Final = 16
"""Characters; fewer are no pepper but a file that was cut short."""
_PUBLIC: Final = "The gateway cannot reach its own storage. Try again."


def pepper_of(data: Path, fresh: Callable[[], str]) -> Secret:
    """Return the directory's pepper, `fresh()` at first. Raises StateUnavailable saying why not.

    Processes that start at the same moment agree on one.
    """
    path = data / FILE
    try:
        if not path.exists():
            _make(path, fresh())
        value = path.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is not ASCII text"
        raise StateUnavailable(_PUBLIC, detail=f"{path} cannot be used: {reason}") from error
    if len(value) < LEAST:
        detail = (
            f"{path} is too short to be a pepper: put back the one that your keys were made with"
        )
        raise StateUnavailable(_PUBLIC, detail=detail)
    return Secret(value, f"file:{path.absolute()}")


def _make(path: Path, value: str) -> None:
    """Write the file whole, then give it its name, unless another process was faster."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    descriptor, draft = tempfile.mkstemp(prefix=f"{FILE}.", dir=path.parent)  # for us only: 0600
    with os.fdopen(descriptor, "w", encoding="ascii") as file:
        file.write(value + "\n")
        file.flush()
        os.fsync(file.fileno())
    with suppress(FileExistsError):
        os.link(draft, path)
    Path(draft).unlink()
