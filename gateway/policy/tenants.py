"""`policies/tenants.yaml`: who calls, and which policy, labels and models that brings."""

from collections.abc import Collection, Mapping
from typing import Annotated, Final, Literal

from msgspec import Meta, Struct

from gateway.core.catalogue import Catalogue
from gateway.core.exchange import Caller, Overflow, Priority
from gateway.core.limits import LimitRule
from gateway.documents import Document, suggest
from gateway.settings import Name

TENANTS: Final = "tenants.yaml"
ANONYMOUS: Final = Caller().tenant
"""Who everybody is when no key is asked for."""
Label = Annotated[str, Meta(min_length=1, max_length=256)]


class Tenant(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One who calls. Its keys stand in gateway.yaml, or are issued."""

    policy: Annotated[str, Meta(description="The policy for its requests.")] = "default"
    labels: Annotated[
        Mapping[Name, Label], Meta(description="What policies may tell it by, such as a team.")
    ] = {}
    models: Annotated[
        Annotated[tuple[str, ...], Meta(min_length=1)] | None,
        Meta(
            description="The models and aliases it may ask for, `*` for any text; a model brings"
            " its aliases. No other model serves it, but for an alias that stands here itself."
            " Left out: all.",
        ),
    ] = None
    limits: Annotated[
        tuple[LimitRule, ...],
        Meta(
            description="What it may use, all its keys and policies together; a `rate_limit` stage"
            " of its policy counts it."
        ),
    ] = ()
    overflow: Annotated[
        Overflow | None,
        Meta(
            description="Whether its requests wait for a limit that has no room. Left out: as the"
            " policy says."
        ),
    ] = None
    priority: Annotated[Priority, Meta(description="Who goes first when there is a queue.")] = (
        "normal"
    )


OnRevoke = Literal["cut", "finish"]


class TenantsFile(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`policies/tenants.yaml`. Where it is there, a key of a tenant that it leaves out is 401."""

    on_revoke: Annotated[
        OnRevoke,
        Meta(
            description="What becomes of requests under way when their key is revoked or their"
            " tenant is taken out: cut at once, or left to finish."
        ),
    ] = "cut"
    tenants: Annotated[Mapping[Name, Tenant], Meta(description="A tenant's name -> what it may.")]


class Known(Struct, frozen=True):
    """What the files below `policies/` may refer to and a reload does not change.

    `keys` are the tenants that gateway.yaml holds a key of; none means that none is asked for
    until one is issued, unless `key_required`.
    """

    catalogue: Catalogue
    keys: Collection[str] = ()
    key_required: bool = False
    providers: Collection[str] | None = None
    """None when gateway.yaml could not be read: then its keys are not known either."""
    kinds: Mapping[str, str] = {}
    """Of what kind each provider is, as far as they could be read."""
    readable: bool = True
    """Whether models.yaml could be read: without it no name of a model can be called wrong."""
    marked: Collection[str] | None = None
    """The providers that keep prompts where these are marked; None when they are not known."""
    no_embedder: str = ""
    """What to do to have an embedder; empty where there is one."""


def callers_of(tenants: Mapping[str, Tenant] | None, known: Known) -> Mapping[str, Caller]:
    """Return every tenant as its requests carry it, without a fingerprint.

    `tenants` is None when there is no file: then everyone who has a key is a plain tenant, also
    those that only issued keys name, who are not among these.
    """
    people = tenants if tenants is not None else {name: Tenant() for name in known.keys}
    if not known.keys and not known.key_required:
        people = {ANONYMOUS: Tenant(), **people}
    return {
        name: Caller(
            tenant=name,
            policy=tenant.policy,
            labels=tenant.labels,
            models=_allowed(tenant, known.catalogue),
            aliases=frozenset(known.catalogue.aliases).intersection(tenant.models or ()),
            priority=tenant.priority,
            limits=tenant.limits,
            overflow=tenant.overflow,
        )
        for name, tenant in people.items()
    }


def check_tenants(
    document: Document,
    tenants: Mapping[str, Tenant],
    known: Known,
    policies: Collection[str],
) -> None:
    """Report names that lead nowhere."""
    catalogue = known.catalogue
    models = [*catalogue.models, *catalogue.aliases]
    for name, tenant in tenants.items():
        at = ("tenants", name)
        if tenant.policy not in policies:
            what = f"there is no such policy.{suggest(tenant.policy, policies)}"
            document.report((*at, "policy"), what, alone=True)
        for index, pattern in enumerate(tenant.models or ()):
            if catalogue.matching((pattern,)).isdisjoint(models):
                what = f"there is no such model.{suggest(pattern, models)}"
                document.report((*at, "models", index), what)
    for name in known.keys:
        if name not in tenants:
            what = f"gateway.yaml has a key of `{name}`, who is not here: it is refused with 401."
            document.report(("tenants",), f"{what}{suggest(name, tenants)}", "warning")


def _allowed(tenant: Tenant, catalogue: Catalogue) -> frozenset[str] | None:
    return None if tenant.models is None else catalogue.matching(tenant.models)
