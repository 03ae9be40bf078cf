"""Options that several commands share."""

import argparse
from pathlib import Path

import pytest

from gateway.commands.options import add_folders, address, setup_of
from tests.fakes.gateway import write_config


def test_folders_default_to_the_current_directory() -> None:
    parser = argparse.ArgumentParser()
    add_folders(parser)
    given = parser.parse_args([])
    assert (given.config, given.policies) == (Path("config"), Path("policies"))


def test_an_address_option_is_checked() -> None:
    assert address("127.0.0.1:0") == "127.0.0.1:0"
    with pytest.raises(argparse.ArgumentTypeError, match="HOST:PORT"):
        address("here")


def test_the_setup_is_what_the_options_point_to(tmp_path: Path) -> None:
    write_config(tmp_path)
    given = argparse.Namespace(
        config=tmp_path / "config", policies=tmp_path / "policies", listen="127.0.0.1:9"
    )
    assert setup_of(given).settings.listen == "127.0.0.1:9"
