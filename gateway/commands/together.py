"""What several workers report, as one process would."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

Report = Mapping[str, Any]


def reloaded(reports: Sequence[Report]) -> Report:
    """Return what a reload of all came to; `version` is null while they do not use the same."""
    versions = {report.get("version") for report in reports}
    return {
        "ok": bool(reports) and all(report.get("ok") for report in reports),
        "version": versions.pop() if len(versions) == 1 else None,
        "changed": any(report.get("changed") for report in reports),
        "problems": _once(each for report in reports for each in report.get("problems", ())),
        "warnings": _once(each for report in reports for each in report.get("warnings", ())),
    }


def troubles(reports: Iterable[Report]) -> Mapping[str, str]:
    """Return what an operator should mend, by part; what several workers say is there once."""
    said: dict[str, list[str]] = {}
    for report in reports:
        for part, what in report.get("problems", {}).items():
            said.setdefault(part, []).append(what)
    return {part: "\n".join(_once(texts)) for part, texts in said.items()}


def _once(given: Iterable[Any]) -> list[Any]:
    found: list[Any] = []
    for each in given:
        if each not in found:
            found.append(each)
    return found
