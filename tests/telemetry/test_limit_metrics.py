"""Metrics of limits: what an operator looks at when somebody is refused or overspends."""

from gateway.core.charge import charge_of
from gateway.core.notes import Attempted, Demand, Limited, Note, Used
from gateway.core.reply import Usage
from gateway.core.state import Slots, Standing
from gateway.telemetry.metrics import Metrics
from tests.telemetry.outcomes import make_outcome, value

FULL = Standing((Slots("k", 5),), (5,), 0.0, (0,))


def seen(*requests: tuple[Note, ...]) -> tuple[bytes, list[bool]]:
    metrics = Metrics()
    outcomes = [make_outcome(*notes) for notes in requests]
    alarms = [metrics.limits.observe(outcome, charge_of(outcome.facts)) for outcome in outcomes]
    return metrics.render(), alarms


def test_refusals_are_counted_by_limit_and_observed_ones_apart() -> None:
    refused = Limited(FULL, exceeded=("hourly",), refused="hourly")
    observed = Limited(FULL, exceeded=("hourly",))
    text, _ = seen((refused,), (refused,), (observed,))
    assert value(text, "turnout_limit_refusals_total", limit="hourly") == 2
    assert value(text, "turnout_limit_observations_total", limit="hourly") == 1


def answered(output: int, most: int | None) -> tuple[Note, ...]:
    return (
        Limited(FULL, reserved=Demand(5, most or 100, 900, stated=most is not None)),
        Attempted("one", "gpt", 1.0, 2.0),
        Used("gpt", Usage(5, output), 70),
    )


def test_what_was_held_and_what_was_charged_are_told_by_tenant() -> None:
    text, _ = seen(answered(9, None), answered(9, None))
    assert value(text, "turnout_reserved_micro_dollars_total", tenant="acme") == 1800
    assert value(text, "turnout_charged_micro_dollars_total", tenant="acme") == 140
    assert value(text, "turnout_charges_total", counted="provider") == 2


def test_c12_an_answer_longer_than_it_may_be_rings() -> None:
    text, alarms = seen(answered(101, 100), answered(100, 100), answered(9999, None), ())
    assert alarms == [True, False, False, False]
    assert value(text, "turnout_output_overruns_total", model="gpt") == 1
