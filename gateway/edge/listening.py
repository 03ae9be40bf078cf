"""Addresses to listen at, and why one is not to be had."""

import errno
from collections.abc import Iterator
from contextlib import contextmanager

from gateway.settings import Address


class CannotStart(Exception):
    """An address or a folder is not to be had; the text says which, why and the cure."""


@contextmanager
def listening(address: Address) -> Iterator[None]:
    """Turn a failure to bind `address` into CannotStart, in words that help."""
    try:
        yield
    except OSError as error:
        reason = error.strerror or "it cannot be bound"
        if error.errno == errno.EADDRINUSE:
            reason = "another process listens there already. Stop it, or choose another address"
        elif error.errno == errno.EACCES:
            reason = "only a privileged process may listen there. Choose a port above 1023"
        raise CannotStart(
            f"{address.host if address.host.startswith('/') else address}: {reason}."
        ) from error
