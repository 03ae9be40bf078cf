"""What questions say, beside what they look like: gates in front of every semantic hit."""

from gateway.stages.semantic_cache.evidence.facts import Facts, facts
from gateway.stages.semantic_cache.evidence.gates import veto
from gateway.stages.semantic_cache.evidence.unfit import unfit

__all__ = ["Facts", "facts", "unfit", "veto"]
