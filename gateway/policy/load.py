"""`policies/*.yaml`, all or nothing: decoded, checked, every problem said in one pass."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Final, TypeVar

from msgspec import Meta, Struct
from msgspec.structs import replace

from gateway.core.exchange import Caller
from gateway.documents import (
    Diagnostic,
    Document,
    Invalid,
    KeyPath,
    load_document,
    warnings_of,
)
from gateway.policy.cases import Case
from gateway.policy.reach import check_when
from gateway.policy.tenants import (
    TENANTS,
    Known,
    OnRevoke,
    Tenant,
    TenantsFile,
    callers_of,
    check_tenants,
)
from gateway.stages import AnyStage
from gateway.stages.base import StagePolicy
from gateway.stages.names import Names
from gateway.stages.rate_limit import RateLimitPolicy
from gateway.stages.relay import RelayPolicy

DEFAULT: Final = "default"

T = TypeVar("T")


class Policy(Struct, frozen=True):
    """What happens to a request: stages in order, the last of which answers."""

    name: str
    pipeline: tuple[AnyStage, ...]


class PolicyFile(Struct, frozen=True, forbid_unknown_fields=True):
    """One file below `policies/`."""

    name: Annotated[str, Meta(description="The policy's name; empty means the file's.")] = ""
    description: Annotated[str, Meta(description="What it is for, in a sentence.")] = ""
    pipeline: Annotated[
        tuple[AnyStage, ...],
        Meta(description="The stages a request passes, in order. `relay` is added at the end."),
    ] = ()
    tests: Annotated[
        tuple[Case, ...],
        Meta(description="What must become of requests; `turnout check` tries it, offline."),
    ] = ()


class Trial(Struct, frozen=True):
    """A policy's test and where it stands."""

    policy: str
    case: Case
    document: Document
    index: int


class Rules(Struct, frozen=True, kw_only=True):
    """All that the files below `policies/` say, valid as a whole."""

    policies: Mapping[str, Policy]
    tenants: Mapping[str, Tenant] | None = None
    """None when there is no tenants.yaml."""
    callers: Mapping[str, Caller]
    """Every tenant, as its requests carry it."""
    on_revoke: OnRevoke = "cut"
    trials: tuple[Trial, ...] = ()
    warnings: tuple[Diagnostic, ...] = ()


class _Read(Struct, frozen=True):
    file: PolicyFile
    document: Document


def load_rules(folder: Path, known: Known, environment: Mapping[str, str]) -> Rules:
    """Read every file of the folder. Raises Invalid with all problems of all files."""
    reading = _Reading(folder, environment)
    reading.refuse_other_names()
    file = reading.tenants()
    people = file.tenants if file else None
    callers = callers_of(people, known)
    files = reading.policies()
    names = Names(
        catalogue=known.catalogue,
        tenants=None if reading.tenants_are_bad else callers,
        providers=known.providers,
    )
    policies = {name: _policy(name, read, names) for name, read in files.items()}
    if DEFAULT not in policies and reading.policies_are_good:
        what = f"there is no {DEFAULT}.yaml: every request needs a policy."
        reading.problems.append(Diagnostic(str(folder), 0, what))
    if people is not None:
        there = {*policies, *reading.unread, DEFAULT}
        check_tenants(reading.opened[TENANTS], people, known, there)
        _check_counted(reading.opened[TENANTS], people, policies)
    if not reading.tenants_are_bad:
        _check_used(files, callers)
    return Rules(
        policies=policies,
        tenants=people,
        callers=callers,
        on_revoke=file.on_revoke if file else "cut",
        trials=tuple(
            Trial(name, case, read.document, index)
            for name, read in files.items()
            for index, case in enumerate(read.file.tests)
        ),
        warnings=warnings_of(reading.all_problems()),
    )


class _Reading:
    """One pass over the folder. `problems` are those of files that could not even be opened."""

    def __init__(self, folder: Path, environment: Mapping[str, str]) -> None:
        self.problems: list[Diagnostic] = []
        self.opened: dict[str, Document] = {}
        self.tenants_are_bad = False
        self.policies_are_good = True
        self.unread: set[str] = set()
        """What the policies that could not be read are called, as far as their files tell."""
        self._folder = folder
        self._environment = environment

    def refuse_other_names(self) -> None:
        """Report files that look as if they were read: a tenants.yml would let everybody in."""
        for path in sorted(self._folder.glob("*.yml")):
            what = f"no file of this ending is read. Rename it to {path.stem}.yaml."
            self.problems.append(Diagnostic(str(path), 0, what))
        for path in sorted(self._folder.glob("*/*.y*ml")):
            what = f"no file of a folder in {self._folder.name}/ is read. Move it there."
            self.problems.append(Diagnostic(str(path), 0, what))

    def tenants(self) -> TenantsFile | None:
        """Return the tenants' file, None when there is none or it is bad."""
        path = self._folder / TENANTS
        if not path.exists():
            return None
        file = self._convert(path, TenantsFile)
        self.tenants_are_bad = file is None
        return file

    def policies(self) -> Mapping[str, _Read]:
        """Return the policies that could be read, by name."""
        found: dict[str, _Read] = {}
        for path in sorted(self._folder.glob("*.yaml")):
            if path.name == TENANTS or path.name.startswith("."):  # an editor's own files
                continue
            file = self._convert(path, PolicyFile)
            if file is None:
                self.policies_are_good = False
                self.unread.add(path.stem)
                continue
            document, name = self.opened[path.name], file.name or path.stem
            if not document.tree:  # half a write, or a slip: a policy without limits is no default
                document.report((), "is empty. Write `pipeline: []` if nothing is to happen.")
                self.policies_are_good = False
                self.unread.add(path.stem)
            elif name in found:
                document.report(("name",), f"another file already holds the policy `{name}`.")
                self.policies_are_good = False
            else:
                found[name] = _Read(file, document)
        return found

    def all_problems(self) -> list[Diagnostic]:
        """Return what is wrong with any file."""
        in_files = [p for document in self.opened.values() for p in document.problems]
        return self.problems + in_files

    def _convert(self, path: Path, shape: type[T]) -> T | None:
        try:
            document = load_document(path, self._environment)
        except Invalid as error:
            self.problems += error.problems
            return None
        self.opened[path.name] = document
        return document.convert(shape)


def _policy(name: str, read: _Read, names: Names) -> Policy:
    """Return the policy, ending in a stage that answers; report what cannot work."""
    document, here = read.document, replace(names, policy=name)
    answered = False
    for index, block in enumerate(read.file.pipeline):
        at = ("pipeline", index)
        if answered:
            what = f"`{block.name}` is never reached: the stage above answers every request."
            document.report(at, f"{what} Move it up, or give that one a `when`.")
            break
        _check_block(document, at, block, here)
        answered = block.answers and block.when is None
    pipeline = read.file.pipeline if answered else (*read.file.pipeline, RelayPolicy())
    return Policy(name=name, pipeline=pipeline)


def _check_block(document: Document, at: KeyPath, block: StagePolicy, names: Names) -> None:
    for problem in block.check(names):
        document.report((*at, *problem.path), problem.what, problem.severity)
    for problem in check_when(block.when, names) if block.when else ():
        document.report((*at, "when", *problem.path), problem.what, problem.severity)


def _check_counted(
    document: Document, people: Mapping[str, Tenant], policies: Mapping[str, Policy]
) -> None:
    for name, tenant in people.items():
        policy = policies.get(tenant.policy)
        if not tenant.limits or policy is None:
            continue
        blocks = [block for block in policy.pipeline if isinstance(block, RateLimitPolicy)]
        if blocks and not any(block.when is None and block.enforce for block in blocks):
            what = f"they do not always hold: no `rate_limit` stage of the policy `{policy.name}`"
            cure = "is without `when` and enforces. Add one, with `limits: []`."
            document.report(("tenants", name, "limits"), f"{what} {cure}", "warning")
        elif not blocks:
            what = f"nothing counts them: the policy `{policy.name}` has no `rate_limit` stage."
            document.report(("tenants", name, "limits"), what, "warning")


def _check_used(files: Mapping[str, _Read], callers: Mapping[str, Caller]) -> None:
    used = {caller.policy for caller in callers.values()}
    for name, read in files.items():
        if name not in used and name != DEFAULT:
            what = f"no tenant uses the policy `{name}`. Name it in {TENANTS}, or remove the file."
            read.document.report((), what, "warning")
