"""`policies/*.yaml`, all or nothing: decoded, checked, every problem said in one pass."""

from collections.abc import Mapping, Sequence
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
from gateway.policy.overlap import relation
from gateway.policy.reach import check_when
from gateway.policy.tenant_limits import check_tenant_limits
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
from gateway.stages.record import RecordPolicy
from gateway.stages.relay import RelayPolicy
from gateway.stages.when import When

DEFAULT: Final = "default"

T = TypeVar("T")


class Policy(Struct, frozen=True):
    """What happens to a request: stages in order, the last of which answers."""

    name: str
    pipeline: tuple[AnyStage, ...]
    record: RecordPolicy | None = None


class PolicyFile(Struct, frozen=True, forbid_unknown_fields=True):
    """One file below `policies/`."""

    name: Annotated[str, Meta(description="The policy's name; empty means the file's.")] = ""
    description: Annotated[str, Meta(description="What it is for, in a sentence.")] = ""
    pipeline: Annotated[
        tuple[AnyStage, ...],
        Meta(description="The stages a request passes, in order. `relay` is added at the end."),
    ] = ()
    record: Annotated[
        RecordPolicy | None,
        Meta(description="Write requests to a traffic log in full. Left out: nothing is written."),
    ] = None
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
    certain = not reading.tenants_are_bad and (people is not None or known.providers is not None)
    names = Names(
        catalogue=known.catalogue,
        tenants=callers if certain else None,
        providers=known.providers,
        kinds=known.kinds,
        marked=known.marked,
        no_embedder=known.no_embedder,
    )
    policies = {name: _policy(name, read.file) for name, read in files.items()}
    if known.readable:
        for name, read in files.items():
            _check_policy(read, replace(names, policy=name))
    if DEFAULT not in policies and reading.policies_are_good:
        what = f"there is no {DEFAULT}.yaml: every request needs a policy."
        reading.problems.append(Diagnostic(str(folder), 0, what))
    if people is not None and known.readable:
        document = reading.opened[TENANTS]
        check_tenants(document, people, known, {*policies, *reading.unread, DEFAULT})
        whole = {name: x.file.pipeline for name, x in files.items() if not x.document.lost()}
        check_tenant_limits(document, people, whole, callers, known.catalogue)
    if certain and all(caller.policy in files for caller in callers.values()):
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
        """Return what can be read of the tenants' file, None when there is none or nothing can."""
        path = self._folder / TENANTS
        if not path.exists():
            return None
        file = self._convert(path, TenantsFile)
        self.tenants_are_bad = file is None or self.opened[TENANTS].lost()
        return file

    def policies(self) -> Mapping[str, _Read]:
        """Return what can be read of the policies, by name."""
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
            if document.lost():
                self.unread.add(path.stem)
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


def _policy(name: str, file: PolicyFile) -> Policy:
    """Return the policy, ending in a stage that answers."""
    answered = any(_answers_all(block) for block in file.pipeline)
    pipeline = file.pipeline if answered else (*file.pipeline, RelayPolicy())
    return Policy(name, pipeline, file.record)


def _answers_all(block: StagePolicy) -> bool:
    return block.answers and block.when is None


def _check_policy(read: _Read, names: Names) -> None:
    """Report what cannot work."""
    document, answered = read.document, False
    taken: set[str] = set()
    for index, block in enumerate(read.file.pipeline):
        at = ("pipeline", index)
        if answered:
            what = f"`{block.name}` is never reached: the stage above answers every request."
            document.report(at, f"{what} Move it up, or give that one a `when`.")
        elif block.name in taken:
            what = f"`{block.name}` is never used: the one above takes every request."
            document.report(at, f"{what} Leave one out, or give that one a `when`.")
        if block.once and block.when is None:
            taken.add(block.name)
        _check_block(document, at, block, names)
        for problem in block.check_place(read.file.pipeline[:index]):
            document.report((*at, *problem.path), problem.what, problem.severity)
        if block.once:
            _check_shared(document, read.file.pipeline[:index], at, block, names)
        answered = _answers_all(block) and not document.lost(at)
    if read.file.record is not None and not document.lost(("record",)):
        _check_record(document, read.file.record, names)


def _check_record(document: Document, record: RecordPolicy, names: Names) -> None:
    whose = () if record.tenant is None else check_when(When(tenant=record.tenant), names)
    for problem in (*record.check(names), *whose):
        document.report(("record", *problem.path), problem.what, problem.severity)


def _check_block(document: Document, at: KeyPath, block: StagePolicy, names: Names) -> None:
    torn = document.lost(at)  # then what was hardly meant may only seem so
    for problem in block.check(names):
        if problem.severity == "error" or not torn:
            document.report((*at, *problem.path), problem.what, problem.severity)
    for path, when in block.conditions:
        for problem in check_when(when, names):
            if problem.severity == "error" or not torn:
                document.report((*at, *path, *problem.path), problem.what, problem.severity)


def _check_shared(
    document: Document,
    before: Sequence[StagePolicy],
    at: KeyPath,
    block: StagePolicy,
    names: Names,
) -> None:
    """Warn of a stage with a `when` where one above it may take the same requests."""
    if block.when is None or document.lost(at):
        return
    for index, other in enumerate(before):
        if other.name != block.name or other.when is None:
            continue
        found = relation(other.when, block.when, names.catalogue)
        above = f"`{block.name}` of pipeline[{index}]"
        if found.covers:
            what = f"this is never used: {above} takes every such request."
            document.report((*at, "when"), what, "warning")
        elif not found.apart:
            what = f"requests that this and {above} are for go by that one."
            document.report((*at, "when"), what, "warning")


def _check_used(files: Mapping[str, _Read], callers: Mapping[str, Caller]) -> None:
    used = {caller.policy for caller in callers.values()}
    for name, read in files.items():
        if name not in used and name != DEFAULT:
            what = f"no tenant uses the policy `{name}`. Name it in {TENANTS}, or remove the file."
            read.document.report((), what, "warning")
