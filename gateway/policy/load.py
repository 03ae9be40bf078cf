"""`policies/*.yaml`, all or nothing: decoded, checked, every problem said in one pass."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

from msgspec import Meta, Struct

from gateway.documents import Diagnostic, Document, Invalid, load_document
from gateway.stages import AnyStage
from gateway.stages.base import Names, StagePolicy
from gateway.stages.relay import RelayPolicy

DEFAULT = "default"


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


def load_policies(
    folder: Path, names: Names, environment: Mapping[str, str]
) -> Mapping[str, Policy]:
    """Read every policy of a folder. Raises Invalid with all problems of all files."""
    problems: list[Diagnostic] = []
    policies: dict[str, Policy] = {}
    for path in sorted(folder.glob("*.yaml")):
        try:
            document = load_document(path, environment)
        except Invalid as error:
            problems += error.problems
            continue
        policy = _read(document, path.stem, names)
        if policy is not None and policy.name in policies:
            document.report(("name",), f"another file already holds the policy `{policy.name}`.")
        elif policy is not None:
            policies[policy.name] = policy
        problems += document.problems
    if not problems and DEFAULT not in policies:
        problems.append(
            Diagnostic(str(folder), 0, f"there is no {DEFAULT}.yaml: every request needs a policy.")
        )
    if problems:
        raise Invalid(problems)
    return policies


def _read(document: Document, stem: str, names: Names) -> Policy | None:
    file = document.convert(PolicyFile)
    if file is None:
        return None
    blocks: tuple[StagePolicy, ...] = file.pipeline
    for index, block in enumerate(blocks):
        for problem in block.check(names):
            document.report(("pipeline", index, *problem.path), problem.what)
        if isinstance(block, RelayPolicy) and index < len(blocks) - 1:
            document.report(("pipeline", index), "relay answers, so no stage may follow it.")
    answers = any(isinstance(block, RelayPolicy) for block in blocks)
    pipeline = file.pipeline if answers else (*file.pipeline, RelayPolicy())
    return Policy(name=file.name or stem, pipeline=pipeline)
