"""What a request looks like as a task: about 60 numbers, from one look at what was asked."""

from gateway.stages.complexity_router.features.asking import Asked, asked_by, asked_in
from gateway.stages.complexity_router.features.shape import NAMES, Shape, shape

__all__ = ["NAMES", "Asked", "Shape", "asked_by", "asked_in", "shape"]
