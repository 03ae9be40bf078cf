"""`turnout models` shows what can be asked for, and why something cannot."""

from pathlib import Path

from gateway.commands.models import routed, table
from gateway.core.catalogue import Catalogue, Model, Price
from gateway.policy.setup import load_setup
from tests.fakes.gateway import write_config


def test_the_table_lists_models_prices_and_reasons() -> None:
    models = {
        "big": Model(
            provider="openai",
            name="big",
            tier="complex",
            context=128_000,
            price=Price(input=2.5, output=10),
        ),
        "small": Model(provider="local", name="small"),
    }
    catalogue = Catalogue(
        models=models, aliases={"default": "small"}, unserved={"big": "Set KEY, then restart."}
    )
    assert table(catalogue, {}) == [
        "MODEL  PROVIDER  TIER     CONTEXT  $/M IN   $/M OUT  SERVED",
        "big    openai    complex  128,000  2.50     10.00    Set KEY, then restart.",
        "small  local     -        -        unknown  unknown  yes",
        "default -> small",
    ]


def test_aliases_that_a_policy_routes_say_where(tmp_path: Path) -> None:
    router = {
        "stage": "complexity_router",
        "tiers": [{"name": "fast", "model": "small"}, {"name": "complex", "model": "big"}],
        "target": {"shares": [0.9, 0.1]},
    }
    aliases = {"turnout/auto": "big", "turnout/fast": "small", "default": "small"}
    models = {name: {"provider": "simulated"} for name in ("small", "big")}
    write_config(tmp_path, models=models, aliases=aliases, pipeline=[router])
    setup = load_setup(tmp_path / "config", tmp_path / "policies", {})
    assert table(setup.catalogue, routed(setup.rules))[-3:] == [
        "turnout/auto -> big (by policy default: fast small, complex big)",
        "turnout/fast -> small (by policy default: fast small)",
        "default -> small",
    ]
