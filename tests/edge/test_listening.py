import socket

import pytest

from gateway.edge.listening import CannotStart, listening
from gateway.settings import Address


def test_an_address_that_is_taken_is_said_with_its_cure() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        at = Address("127.0.0.1", taken.getsockname()[1])
        with (
            pytest.raises(CannotStart, match="another process listens there already"),
            listening(at),
        ):
            socket.create_server((at.host, at.port))


def test_a_port_that_only_the_system_may_have_is_said_so() -> None:
    with pytest.raises(CannotStart, match="Choose a port above 1023"), listening(Address("h", 80)):
        raise PermissionError(13, "Permission denied")
