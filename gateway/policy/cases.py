"""`tests:` in a policy file: a request, and what must become of it."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from msgspec import Meta, Struct

from gateway.core.chat import Endpoint

ProviderHealth = Literal["up", "down", "busy", "broken", "slow"]
Status = Annotated[int, Meta(ge=200, le=599)]
Moment = Annotated[
    str,
    Meta(
        pattern=r"^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z$",
        title="a moment in UTC such as 2026-11-21T09:30:00Z",
    ),
]


class Given(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One request and the world that it meets."""

    request: Annotated[
        Mapping[str, Any],
        Meta(description="Fields of the body; a short user message is added if there is none."),
    ]
    endpoint: Annotated[Endpoint, Meta(description="What is called.")] = "chat"
    headers: Annotated[Mapping[str, str], Meta(description="Request headers.")] = {}
    tenant: Annotated[
        str, Meta(description="Who calls; left out: somebody with this policy and nothing else.")
    ] = ""
    time: Annotated[Moment, Meta(description="When, in UTC: 2026-11-21T12:00:00Z.")] = (
        "2026-01-05T12:00:00Z"
    )
    providers: Annotated[
        Mapping[str, ProviderHealth],
        Meta(
            description="How providers are; those left out are up. down: no connection, busy: 429,"
            " broken: 500, slow: no answer for a minute."
        ),
    ] = {}


class Expect(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What must come of it; what is left out may be anything."""

    status: Annotated[Status | None, Meta(description="HTTP status.")] = None
    code: Annotated[str | None, Meta(description="The error's code.")] = None
    model: Annotated[str | None, Meta(description="The model that answered.")] = None
    tier: Annotated[str | None, Meta(description="The tier that `complexity_router` chose.")] = None
    stages: Annotated[
        Mapping[str, str],
        Meta(
            description="Stage -> its verdict: `ran`, `skipped`, `not reached`, or the stage's own"
            " word."
        ),
    ] = {}
    headers: Annotated[
        Mapping[str, str | None],
        Meta(description="Response headers, `*` for any text; null: it must not be there."),
    ] = {}


class Case(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One test of a policy."""

    name: Annotated[str, Meta(description="What is true, in a sentence.")]
    given: Annotated[Given, Meta(description="The request, and the world that it meets.")]
    expect: Annotated[Expect, Meta(description="What must come of it.")]
