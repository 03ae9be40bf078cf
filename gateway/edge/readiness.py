"""Whether this process should get traffic, and why not."""

from collections.abc import Callable, Mapping
from typing import Any, Literal

from msgspec import Struct, field

State = Literal["pending", "loading", "ready", "failed", "timeout"]


class Warmed(Struct):
    """How far one warm-up is. Only one that is pending holds back readiness.

    What is loading was found to be needed when requests were served already.
    """

    state: State = "pending"
    seconds: float = 0.0
    detail: str = ""


class Readiness(Struct):
    """The facts behind /readyz; whoever knows one writes it here."""

    warmups: dict[str, Warmed] = field(default_factory=dict)
    problems: dict[str, str] = field(default_factory=dict)
    """What an operator should mend, such as a bad policy file that was kept out."""
    policies: Callable[[], Mapping[str, Any]] = dict
    """Returns what is known of the policies in use."""
    store: Callable[[], str] = str
    """Returns what is wrong with the store of limits and keys, else nothing."""
    draining: bool = False

    def ready(self) -> bool:
        """Return whether to send requests here: warm-ups are over and no drain has begun."""
        return not self.draining and all(w.state != "pending" for w in self.warmups.values())

    def summary(self) -> Mapping[str, Any]:
        """Return what strangers may see: whether, and which part holds it back; no names."""
        pending = any(warmed.state == "pending" for warmed in self.warmups.values())
        parts = (("draining", self.draining), ("warmups", pending))
        return {"ready": self.ready(), "because": [part for part, holds in parts if holds]}

    def report(self) -> Mapping[str, Any]:
        """Return all facts, as /readyz of the admin listener shows them."""
        return {
            "ready": self.ready(),
            "draining": self.draining,
            "warmups": {
                name: {"state": w.state, "seconds": round(w.seconds, 3), "detail": w.detail}
                for name, w in self.warmups.items()
            },
            "problems": {**self.problems, **({"state": wrong} if (wrong := self.store()) else {})},
            "policies": self.policies(),
        }
