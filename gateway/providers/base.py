"""What every provider's configuration shares."""

from collections.abc import Iterator
from typing import Annotated, ClassVar, Final

from msgspec import Meta, Struct

from gateway.core.capacity import Concurrency
from gateway.core.ports import Provider, Runtime

Seconds = Annotated[float, Meta(gt=0, le=3600)]
BASE_URL: Final = r"^https?://[^/?#@]+(/[^?#]*)?$"
A_BASE_URL: Final = "an address such as https://api.openai.com/v1, without a key or a query"
Count = Annotated[int, Meta(ge=0, le=100_000)]


class Warmup(Struct, frozen=True, forbid_unknown_fields=True):
    """What to do at start so that no user pays for it. Readiness waits at most `timeout`."""

    connections: Annotated[Count, Meta(description="TLS connections to open and keep.")] = 1
    prompt: Annotated[str, Meta(description="A prompt to send, on a connection of its own.")] = ""
    model: Annotated[str, Meta(description="The provider's model name for the prompt.")] = ""
    timeout: Annotated[Seconds, Meta(description="Seconds after which start goes on without.")] = 5


class ProviderConfig(
    Struct, frozen=True, forbid_unknown_fields=True, tag_field="kind", kw_only=True
):
    """One block under `providers:` in `config/gateway.yaml`; the struct is the provider.

    A subclass adds its fields and `build`. Adding a kind = one file + one line in
    `providers/__init__.py`.
    """

    keeps_marked_prompts: ClassVar[bool] = False
    """Whether it keeps the beginnings of prompts only where `cache_control` marks them."""

    warmup: Annotated[
        Warmup | None, Meta(description="What to do at start so that no user waits for it.")
    ] = None

    concurrency: Annotated[
        Concurrency,
        Meta(description="How many requests each of its models may have at once, a worker."),
    ] = Concurrency()

    @property
    def kind(self) -> str:
        """Return what stands at `kind`."""
        return str(self.__struct_config__.tag)

    def check(self) -> Iterator[tuple[tuple[str, ...], str]]:
        """Yield what the types cannot say: where it stands in this block, and what is wrong."""
        warmup = self.warmup
        if warmup is not None and bool(warmup.prompt) != bool(warmup.model):
            missing, given = ("model", "prompt") if warmup.prompt else ("prompt", "model")
            yield ("warmup", given), f"nothing is sent without a `{missing}` too."

    def unusable(self) -> str:
        """Return why this provider cannot be used here and what to do, or an empty string."""
        return ""

    def build(self, name: str, runtime: Runtime) -> Provider:
        """Return the provider. Opens nothing yet. `name` is the block's key."""
        raise NotImplementedError
