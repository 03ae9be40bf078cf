"""The slots of the targets as gauges. Their names come from the configuration, so there are few."""

from collections.abc import Iterable, Iterator
from typing import Protocol, TypeAlias

from prometheus_client.core import GaugeMetricFamily, Metric


class Slots(Protocol):
    """What the slots of a target say of themselves."""

    @property
    def limit(self) -> int: ...
    @property
    def in_use(self) -> int: ...
    @property
    def waiting(self) -> int: ...


Target: TypeAlias = tuple[str, str, Slots]
"""Provider, its name for the model, and the slots."""


def slot_families(targets: Iterable[Target]) -> Iterator[Metric]:
    """Yield limit, use and queue of every target that was asked so far."""
    families = {
        part: GaugeMetricFamily(f"turnout_target_{part}", text, labels=("provider", "model"))
        for part, text in (
            ("limit", "Requests that a target may have at once."),
            ("in_use", "Requests that a target has now."),
            ("waiting", "Requests that wait for a slot of a target."),
        )
    }
    for provider, model, slots in targets:
        for part, family in families.items():
            family.add_metric((provider, model), getattr(slots, part))
    yield from families.values()
