"""`turnout schema` describes exactly the files that the loader accepts."""

import json
import re
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator  # type: ignore[import-untyped]  # it ships no stubs

from gateway.__main__ import main
from gateway.documents import load_document

ROOT = Path(__file__).parents[2]
FILES = {
    "gateway": ROOT / "config/gateway.yaml",
    "models": ROOT / "config/models.yaml",
    "policy": ROOT / "policies/default.yaml",
}
SCHEMA_LINE = re.compile(r"# yaml-language-server: \$schema=(\S+)")
SHIPPED = [ROOT / "config/container/gateway.yaml", *FILES.values()]


@pytest.mark.parametrize("kind", FILES)
def test_the_shipped_file_fits_its_schema_and_a_typo_does_not(
    kind: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["schema", kind]) == 0
    schema = json.loads(capsys.readouterr().out)
    Draft202012Validator.check_schema(schema)
    tree = load_document(FILES[kind], {}).tree
    validator = Draft202012Validator(schema)
    assert list(validator.iter_errors(tree)) == []
    assert list(validator.iter_errors({**tree, "typo": 1}))


@pytest.mark.parametrize("kind", FILES)
def test_every_field_is_described(kind: str, capsys: pytest.CaptureFixture[str]) -> None:
    main(["schema", kind])
    schema = json.loads(capsys.readouterr().out)
    bare = [
        f"{shape}.{name}"
        for shape, facts in schema["$defs"].items()
        for name, field in facts.get("properties", {}).items()
        if "description" not in field and len(field.get("enum", ())) != 1  # a tag names its kind
    ]
    assert not bare


def test_a_literal_secret_does_not_fit(capsys: pytest.CaptureFixture[str]) -> None:
    main(["schema", "gateway"])
    validator = Draft202012Validator(json.loads(capsys.readouterr().out))
    assert validator.is_valid({"keys": {"alice": "env:ALICE"}})
    assert not validator.is_valid({"keys": {"alice": "hunter2"}})


def test_the_policy_schema_comes_first(capsys: pytest.CaptureFixture[str]) -> None:
    main(["schema"])
    assert "pipeline" in capsys.readouterr().out


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_shipped_file_tells_editors_its_schema(path: Path) -> None:
    first = SCHEMA_LINE.fullmatch(path.read_text().splitlines()[0])
    assert first is not None
    schema = json.loads((path.parent / first[1]).read_text())
    assert Draft202012Validator(schema).is_valid(load_document(path, {}).tree)
