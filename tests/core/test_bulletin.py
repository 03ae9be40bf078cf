"""The bulletin of a process that has nobody to tell."""

from collections.abc import Sequence

from gateway.core.bulletin import Alone, Notice


def test_who_is_alone_hears_nothing_not_even_himself() -> None:
    heard: list[Sequence[Notice]] = []
    alone = Alone()
    alone.follow(heard.append)
    alone.post(Notice("down", "acme", "small", 5.0))
    assert heard == []
