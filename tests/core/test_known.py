"""What was read of a request is known to its tenant, for the same bytes sent in the same way."""

from gateway.core.chat import ChatRequest, parse_request
from gateway.core.known import LARGEST, KnownRequests


def request(number: int, size: int = 0) -> ChatRequest:
    content = f"{number}" + "x" * size
    body = f'{{"model":"m","messages":[{{"role":"user","content":"{content}"}}]}}'
    return parse_request("chat", body.encode())


def test_the_same_bytes_are_known_to_the_tenant_that_sent_them_and_to_nobody_else() -> None:
    known, one = KnownRequests(), request(1)
    known.remember("acme", one)
    same = bytes(bytearray(one.body))
    assert known.find("acme", "chat", same, (), "") is one
    assert known.find("bob", "chat", same, (), "") is None
    assert known.find("acme", "chat", same + b" ", (), "") is None


def test_what_came_in_another_way_is_another_request() -> None:
    known, one = KnownRequests(), request(1)
    known.remember("acme", one)
    assert known.find("acme", "messages", one.body, (), "") is None
    assert known.find("acme", "chat", one.body, ("beta",), "") is None
    assert known.find("acme", "chat", one.body, (), "2023-06-01") is None


def test_the_oldest_goes_where_there_is_no_more_room_and_large_ones_never_come() -> None:
    size = len(request(0).body)
    known = KnownRequests(3 * size)
    for number in (0, 1, 1, 2, 3):
        known.remember("acme", request(number))
    assert len(known) == 3
    assert known.find("acme", "chat", request(0).body, (), "") is None
    known.remember("acme", request(4, LARGEST))
    assert len(known) == 3


def test_all_is_forgotten_at_once_and_there_is_room_again() -> None:
    size = len(request(0).body)
    known = KnownRequests(2 * size)
    for _ in range(2):
        known.remember("acme", request(1))
        known.remember("acme", request(2))
        assert len(known) == 2
        known.clear()
        assert len(known) == 0
