"""The stages a policy's pipeline may name, in the order of a request: one line each."""

from typing import TypeAlias

from gateway.stages.complexity_router.policy import ComplexityRouterPolicy
from gateway.stages.failover.policy import FailoverPolicy
from gateway.stages.prompt_cache import PromptCachePolicy
from gateway.stages.rate_limit import RateLimitPolicy
from gateway.stages.relay import RelayPolicy
from gateway.stages.semantic_cache.policy import SemanticCachePolicy

AnyStage: TypeAlias = (
    RateLimitPolicy
    | SemanticCachePolicy
    | ComplexityRouterPolicy
    | PromptCachePolicy
    | FailoverPolicy
    | RelayPolicy
)
