"""What stages are built from is opened as the configuration says, or says what is in its way."""

import asyncio
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from gateway.core.secret import Secret
from gateway.edge.listening import CannotStart
from gateway.policy.setup import Setup, load_setup
from gateway.runtime import SystemClock, new_secret, open_runtime
from gateway.telemetry.log import open_log
from gateway.tools import open_state, open_tools, pepper_for
from tests.fakes.gateway import write_config


def setup_with(home: Path, settings: Mapping[str, Any]) -> Setup:
    write_config(home, settings=settings)
    return load_setup(home / "config", home / "policies", {"PEPPER": "p" * 32})


async def test_data_that_cannot_be_used_is_named_with_the_cure(tmp_path: Path) -> None:
    setup = await asyncio.to_thread(setup_with, tmp_path, {})
    taken = tmp_path / "taken"
    await asyncio.to_thread(taken.write_text, "a file where a folder should be")
    async with open_runtime(lambda *_: None) as runtime:
        with pytest.raises(CannotStart, match="choose --data"):
            async with open_state(setup, runtime, taken):
                pass


def test_a_pepper_that_is_given_is_the_one(tmp_path: Path) -> None:
    setup = setup_with(tmp_path, {"pepper": "env:PEPPER"})
    assert pepper_for(setup, tmp_path / "data", new_secret).reveal() == "p" * 32
    assert not (tmp_path / "data").exists()


def test_a_pepper_is_made_once_and_kept_beside_the_keys(tmp_path: Path) -> None:
    setup = setup_with(tmp_path, {})
    made = pepper_for(setup, tmp_path / "data", new_secret)
    again = pepper_for(setup, tmp_path / "data", new_secret)
    assert isinstance(made, Secret)
    assert made.reveal() == again.reveal()


def test_keys_that_end_with_the_process_leave_no_pepper(tmp_path: Path) -> None:
    setup = setup_with(tmp_path, {"state": {"kind": "memory"}})
    first = pepper_for(setup, tmp_path / "data", new_secret)
    assert first.reveal() != pepper_for(setup, tmp_path / "data", new_secret).reveal()
    assert not (tmp_path / "data").exists()


async def test_providers_that_cannot_be_used_are_left_out(tmp_path: Path) -> None:
    providers = {
        "simulated": {"kind": "simulated"},
        "openai": {"kind": "openai", "api_key": "env:NOT_THERE"},
    }
    setup = await asyncio.to_thread(setup_with, tmp_path, {"providers": providers})
    fd = os.open(os.devnull, os.O_WRONLY)
    opening = open_log(fd, clock=SystemClock(), is_terminal=False)
    log = await asyncio.to_thread(opening.__enter__)  # its thread starts outside of the loop
    try:
        async with (
            open_runtime(lambda *_: None) as runtime,
            open_tools(setup, runtime, log, tmp_path / "data") as opened,
        ):
            assert set(opened.tools.providers) == {"simulated"}
            assert opened.semantic is None  # `embedder: none`
    finally:
        await asyncio.to_thread(opening.__exit__, None, None, None)
        os.close(fd)
