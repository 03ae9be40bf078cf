"""Metrics of limits: what an operator looks at when somebody is refused or overspends."""

from gateway.core.charge import charge_of
from gateway.core.notes import Amounts, Attempted, Limited, Note, Used
from gateway.core.reply import Usage
from gateway.core.state import LimitStatus
from gateway.telemetry.metrics import Metrics
from tests.telemetry.outcomes import make_outcome, value

FULL = LimitStatus("k", 5, 0, 9.0, exceeded=True)


def seen(*requests: tuple[Note, ...]) -> tuple[bytes, list[bool]]:
    metrics = Metrics()
    outcomes = [make_outcome(*notes) for notes in requests]
    alarms = [metrics.limits.observe(outcome, charge_of(outcome.facts)) for outcome in outcomes]
    return metrics.render(), alarms


def test_refusals_are_counted_by_limit_and_observed_ones_apart() -> None:
    refused = Limited(("requests",), (FULL,), ("hourly",), "hourly")
    observed = Limited(("",), (FULL,), ("hourly",))
    text, _ = seen((refused,), (refused,), (observed,))
    assert value(text, "turnout_limit_refusals_total", limit="hourly") == 2
    assert value(text, "turnout_limit_observations_total", limit="hourly") == 1


def answered(output: int, most: int | None) -> tuple[Note, ...]:
    return (
        Limited((), (), reserved=Amounts(5, 100, 900), most_output=most),
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
