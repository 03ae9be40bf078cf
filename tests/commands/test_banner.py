"""What a newcomer sees first: where, what, and a line to paste."""

from pathlib import Path

from gateway.commands.banner import banner
from gateway.policy.setup import load_setup
from gateway.settings import Address
from tests.fakes.gateway import write_config


def shown(home: Path, host: str = "127.0.0.1", **config: object) -> str:
    write_config(home, **config)  # type: ignore[arg-type]  # each test passes what it needs
    environment = {"ALICE": "hunter2-alice"}
    setup = load_setup(home / "config", home / "policies", environment)
    return banner(setup, Address(host, 8080), Address("127.0.0.1", 8081))


def test_it_shows_addresses_models_and_a_first_request(tmp_path: Path) -> None:
    assert (
        shown(tmp_path, aliases={"default": "simulated/demo"})
        == """\
Turnout serves  http://127.0.0.1:8080/v1
health, metrics http://127.0.0.1:8081/readyz  /metrics

  simulated/demo               by simulated
  default                      -> simulated/demo

Try it:
  curl http://127.0.0.1:8080/v1/chat/completions \\
    -H 'content-type: application/json' \\
    -d '{"model": "default", "messages": [{"role": "user", "content": "Hello!"}]}'

Stop with Ctrl-C."""
    )


def test_the_first_request_names_something_that_is_served(tmp_path: Path) -> None:
    text = shown(
        tmp_path,
        providers={
            "openai": {"kind": "openai", "api_key": "env:OPENAI_API_KEY"},
            "simulated": {"kind": "simulated"},
        },
        models={"gpt-4o": {"provider": "openai"}, "demo": {"provider": "simulated"}},
        aliases={"default": "gpt-4o"},
    )
    assert "not served: gpt-4o. Set OPENAI_API_KEY, then restart." in text
    assert '"model": "demo"' in text


def test_with_keys_it_asks_for_one_and_shows_none(tmp_path: Path) -> None:
    text = shown(tmp_path, settings={"keys": {"alice": "env:ALICE"}})
    assert "-H 'authorization: Bearer YOUR_KEY'" in text
    assert "hunter2" not in text


def test_with_nothing_to_serve_there_is_nothing_to_try(tmp_path: Path) -> None:
    text = shown(tmp_path, models={})
    assert "curl" not in text


def test_an_address_for_everybody_is_shown_as_one_that_works(tmp_path: Path) -> None:
    assert "http://127.0.0.1:8080/v1" in shown(tmp_path, host="0.0.0.0")
