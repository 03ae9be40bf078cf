"""`turnout models` shows what can be asked for, and why something cannot."""

from gateway.commands.models import table
from gateway.core.catalogue import Catalogue, Model, Price


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
    assert table(catalogue) == [
        "MODEL  PROVIDER  TIER     CONTEXT  $/M IN   $/M OUT  SERVED",
        "big    openai    complex  128,000  2.50     10.00    Set KEY, then restart.",
        "small  local     -        -        unknown  unknown  yes",
        "default -> small",
    ]
