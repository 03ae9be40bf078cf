"""Whether the limits of tenants can work, and whether their policies count them."""

from collections.abc import Mapping
from typing import Final

from gateway.core.catalogue import Catalogue, Price
from gateway.core.exchange import Caller
from gateway.documents import Document
from gateway.policy.tenants import Tenant
from gateway.stages.base import StagePolicy
from gateway.stages.limit_checks import admitted, check_labels, check_passable, check_rules
from gateway.stages.rate_limit import RateLimitPolicy

_ANY: Final = Price(input=0, output=0)
"""What a model without a price may cost as long as its policy cannot be read."""


def check_tenant_limits(
    document: Document,
    people: Mapping[str, Tenant],
    pipelines: Mapping[str, tuple[StagePolicy, ...]],
    callers: Mapping[str, Caller],
    catalogue: Catalogue,
) -> None:
    """Report limits that make no sense, that no request passes, or that nothing counts.

    `pipelines` are those of the policies that could be read as a whole.
    """
    for name, tenant in people.items():
        at = ("tenants", name)
        sound, problems = check_rules(tenant.limits)
        pipeline = pipelines.get(tenant.policy)
        blocks = [block for block in pipeline or () if isinstance(block, RateLimitPolicy)]
        prices = (block.default_price for block in blocks)
        default = _ANY if pipeline is None else next(filter(None, prices), None)
        models = admitted(catalogue, tenant.models or ("*",))
        for found in (
            *problems,
            *check_passable(sound, default, models),
            *check_labels(sound, [callers[name]]),
        ):
            document.report((*at, *found.path), found.what, found.severity)
        if tenant.limits and pipeline is not None:
            _check_counted(document, name, tenant.policy, blocks)


def _check_counted(
    document: Document, name: str, policy: str, blocks: list[RateLimitPolicy]
) -> None:
    if blocks and not any(block.when is None and block.enforce for block in blocks):
        what = f"they do not always hold: no `rate_limit` stage of the policy `{policy}`"
        cure = "is without `when` and enforces. Add one, with `limits: []`."
        document.report(("tenants", name, "limits"), f"{what} {cure}", "warning")
    elif not blocks:
        what = f"nothing counts them: the policy `{policy}` has no `rate_limit` stage."
        document.report(("tenants", name, "limits"), what, "warning")
