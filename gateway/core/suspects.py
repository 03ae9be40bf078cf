"""Requests that fail wherever they go, told from targets that fail whatever comes."""

from hashlib import blake2b
from typing import Final

from gateway.core.errors import GatewayError

STRIKES: Final = 3
HOLD: Final = 60.0
"""Seconds that a poisoned request is answered with its last error."""
WINDOW: Final = 10.0
_MOST: Final = 1_000
_END: Final = 32 << 10


def fingerprint(tenant: str, body: bytes) -> bytes:
    """Return what tells one tenant's request from another; of long bodies both ends are read."""
    shown = body if len(body) <= 2 * _END else body[:_END] + body[-_END:]
    return blake2b(b"%b\0%d\0%b" % (tenant.encode(), len(body), shown), digest_size=16).digest()


class _Suspect:
    __slots__ = ("at", "blamed", "error", "held_until", "helped", "strikes", "targets")

    def __init__(self) -> None:
        self.at = 0.0
        self.targets: dict[object, float] = {}
        self.strikes = 0
        self.helped = self.blamed = False
        self.held_until = 0.0
        self.error: GatewayError | None = None


class Suspects:
    """The requests that failed within the last minute.

    One that was answered elsewhere is innocent: its failures are the target's. One that failed
    three times, on more than one target where there are several, while those targets answered
    others, is poisoned: for 60 seconds it gets its last error and no target sees it. Times are
    `Clock.monotonic()` seconds.
    """

    __slots__ = ("known", "quarantined")

    def __init__(self) -> None:
        self.quarantined = 0
        """Requests that were answered with an error that was held for them."""
        self.known: dict[bytes, _Suspect] = {}
        """Read it only; the newest is the last."""

    def held(self, name: bytes, now: float) -> GatewayError | None:
        """Return the error of a poisoned request, None for any other."""
        self._forget(now)
        suspect = self.known.get(name)
        if suspect is None or suspect.error is None or now >= suspect.held_until:
            return None
        self.quarantined += 1
        suspect.error.held, suspect.error.retry_after = True, suspect.held_until - now
        return suspect.error.with_traceback(None)

    def strike(self, name: bytes, target: object, now: float) -> bool:
        """Note a failure; return whether it says something about the target.

        What failed there within 10 seconds already does not, until it is answered elsewhere; nor
        does one whose tenant was to blame for its failure at another target.
        """
        suspect = self.known.pop(name, None) or _Suspect()
        self.known[name] = suspect
        last = suspect.targets.get(target)
        suspect.targets[target] = suspect.at = now
        if len(self.known) > _MOST:
            del self.known[next(iter(self.known))]
        again = last is not None and now - last <= WINDOW
        return suspect.helped or not (again or suspect.blamed)

    def blame(self, name: bytes) -> None:
        """Note that its tenant was to blame for a failure: another target need not suffer it."""
        suspect = self.known.get(name)
        if suspect is not None:
            suspect.blamed = True

    def accuse(self, name: bytes, error: GatewayError, targets: int, now: float) -> bool:
        """Note that the target which failed answers others; return whether that makes it poison.

        `targets` is how many the request may go to.
        """
        suspect = self.known.get(name)
        if suspect is None or suspect.helped:
            return False
        suspect.strikes += 1
        if suspect.strikes < STRIKES or len(suspect.targets) < min(2, targets):
            return False
        suspect.error, suspect.held_until = error, now + HOLD
        return True

    def clear(self, name: bytes) -> None:
        """Note that the request was answered somewhere."""
        suspect = self.known.get(name)
        if suspect is not None:
            suspect.helped, suspect.strikes = True, 0

    def _forget(self, now: float) -> None:
        while self.known:
            oldest = next(iter(self.known))
            if now - self.known[oldest].at < HOLD:
                return
            del self.known[oldest]
