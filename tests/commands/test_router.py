"""`turnout router` and its verbs."""

import pytest

from gateway.__main__ import main


def test_help_names_the_verbs(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["router", "--help"])
    assert "audit" in capsys.readouterr().out


def test_without_a_verb_it_says_how_it_is_used(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as left:
        main(["router"])
    assert left.value.code == 2
    assert "VERB" in capsys.readouterr().err
