"""The scripts as they are loaded."""

import re

from gateway.state.redis.scripts import ALL
from tests.fakes.redis_server import RedisServer


def test_a_server_gives_each_script_the_name_that_we_call_it_by(redis: RedisServer) -> None:
    for script in ALL:
        assert script.digest.encode() in redis.command("SCRIPT", "LOAD", script.text)


def test_no_script_is_made_of_anything_but_its_own_text() -> None:
    """What callers send is data: nothing is loaded or put together from it."""
    for script in ALL:
        assert not re.search(r"loadstring|dofile|\bload\(", script.text)
