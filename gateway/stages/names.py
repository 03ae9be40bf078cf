"""What a policy may refer to, and how a stage says that it refers to something else."""

from collections.abc import Collection, Iterable, Mapping

from msgspec import Struct

from gateway.core.catalogue import Catalogue
from gateway.core.exchange import Caller
from gateway.documents import Severity


class Names(Struct, frozen=True):
    """What there is when the policy `policy` is read; grows with the stages that need it."""

    catalogue: Catalogue = Catalogue(models={})
    tenants: Mapping[str, Caller] | None = None
    """All tenants by name; None when they could not be read."""
    policy: str = "default"
    providers: Collection[str] | None = None
    """The blocks of gateway.yaml; None when they could not be read."""
    kinds: Mapping[str, str] = {}
    """Of what kind each block is, as far as they could be read."""
    marked: Collection[str] | None = None
    """Those whose providers keep prompts where these are marked; None when they are not known."""
    no_embedder: str = ""
    """What to do to have an embedder; empty where there is one."""

    @property
    def callers(self) -> Collection[Caller]:
        """The tenants whose requests come here, as far as they could be read."""
        return [each for each in (self.tenants or {}).values() if each.policy == self.policy]

    @property
    def models(self) -> Iterable[str]:
        """Every name that a request may ask for."""
        return (*self.catalogue.models, *self.catalogue.aliases)


class Problem(Struct, frozen=True):
    """One thing wrong in a document. `path` leads to it: keys and list indexes."""

    path: tuple[str | int, ...]
    what: str
    severity: Severity = "error"
