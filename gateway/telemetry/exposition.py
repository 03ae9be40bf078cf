"""The Prometheus texts of several workers, as one."""

from collections.abc import Iterable
from typing import Final

CONFIG_OK: Final = "turnout_config_ok"
STATE_OK: Final = "turnout_state_ok"
HIT_BOUND: Final = "turnout_cache_false_hit_bound"
HIT_THRESHOLD: Final = "turnout_cache_semantic_threshold"
_ALL_OR_NONE: Final = frozenset({CONFIG_OK.encode(), STATE_OK.encode()})
_ALIKE: Final = (HIT_BOUND.encode() + b"{", HIT_THRESHOLD.encode() + b"{")
"""What every worker tells alike: the highest counts, and no sum."""


def merge(texts: Iterable[bytes]) -> bytes:
    """Add up the texts of several workers, sample by sample; all are right only if each one is.

    Of what all of them follow in the store the highest value counts.
    """
    families: dict[bytes, dict[bytes, float]] = {}
    head = b""
    for text in texts:
        samples: dict[bytes, float] = {}
        for line in text.splitlines():
            if line.startswith(b"# HELP "):
                head = line
            elif line.startswith(b"# TYPE "):
                samples = families.setdefault(head + b"\n" + line, {})
            else:
                name, _, value = line.rpartition(b" ")
                known = samples.get(name)
                if name in _ALL_OR_NONE:
                    samples[name] = min(float(value), 1.0 if known is None else known)
                elif name.startswith(_ALIKE):
                    samples[name] = max(float(value), known or 0.0)
                else:
                    samples[name] = (known or 0.0) + float(value)
    lines = []
    for heading, samples in families.items():
        lines.append(heading)
        lines += [b"%b %r" % (name, value) for name, value in samples.items()]
    return b"\n".join(lines) + b"\n" if lines else b""


def without_gauges(text: bytes) -> bytes:
    """Return what of a worker's text outlives it: all that only ever grows."""
    kept, lines = True, list[bytes]()
    for line in text.splitlines(keepends=True):
        if line.startswith(b"# TYPE "):
            kept = not line.rstrip().endswith(b" gauge")
            if not kept:
                lines.pop()  # its # HELP
        if kept or line.startswith(b"# HELP "):
            lines.append(line)
    return b"".join(lines)
