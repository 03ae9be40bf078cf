"""The structural rules of the house, without an exception list."""

import ast
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
MAX_FILE = 350
MAX_FUNCTION = 45
BANNED_NAMES = {"utils", "util", "helpers", "helper", "common", "misc", "manager", "managers"}
SOURCES = sorted((ROOT / "gateway").rglob("*.py"))
TRACKED_TEXT = {".py", ".md", ".toml", ".yaml", ".yml", ".txt", ".sh", ".cfg", ""}


def _functions(path: Path) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


def _tracked() -> list[Path]:
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    return [ROOT / name for name in listed.stdout.splitlines() if (ROOT / name).is_file()]


@pytest.mark.parametrize("folder", ["gateway", "tests", "loadtest"])
def test_no_file_is_longer_than_350_lines(folder: str) -> None:
    long = {
        str(path.relative_to(ROOT)): count
        for path in (ROOT / folder).rglob("*.py")
        if (count := len(path.read_text().splitlines())) > MAX_FILE
    }
    assert not long


def test_no_function_is_longer_than_45_lines() -> None:
    long = {
        f"{path.relative_to(ROOT)}:{node.name}": node.end_lineno - node.lineno + 1
        for path in SOURCES
        for node in _functions(path)
        if node.end_lineno and node.end_lineno - node.lineno + 1 > MAX_FUNCTION
    }
    assert not long


def test_no_module_is_a_drawer_for_odds_and_ends() -> None:
    assert not [path for path in SOURCES if path.stem in BANNED_NAMES]


def test_every_source_file_has_its_test_file() -> None:
    """A file's tests are `tests/<same folder>/test_<name>*.py`."""
    missing = []
    for path in SOURCES:
        inside = path.relative_to(ROOT / "gateway")
        body = [n for n in ast.parse(path.read_text()).body if not isinstance(n, ast.Expr)]
        only_declares = path.name == "__init__.py" or inside == Path("core/ports.py")
        if only_declares or not body:
            continue
        name = "main" if path.stem == "__main__" else path.stem
        if not list((ROOT / "tests" / inside.parent).glob(f"test_{name}*.py")):
            missing.append(str(inside))
    assert not missing


def test_every_noqa_and_type_ignore_names_its_rule_and_reason() -> None:
    bare = re.compile(
        r"#\s*noqa(?!: [A-Z0-9, ]+ - )|#\s*type: ignore(?!\[[a-z-]+(, [a-z-]+)*\]  # )"
    )
    bad = [
        f"{path.relative_to(ROOT)}:{number}"
        for path in SOURCES
        for number, line in enumerate(path.read_text().splitlines(), 1)
        if bare.search(line)
    ]
    assert not bad


def test_nothing_names_a_registry_a_machine_path_or_the_neighbouring_folder() -> None:
    forbidden = re.compile(r"files\.pythonhosted|pypi\.org|/work/|/root/|farm-|file:///opt")
    bad = [
        str(path.relative_to(ROOT))
        for path in _tracked()
        if path.suffix in TRACKED_TEXT
        and path != Path(__file__)
        and forbidden.search(path.read_text(errors="replace"))
    ]
    assert not bad


def test_every_locked_package_carries_hashes() -> None:
    for lock in (ROOT / "config/locks").glob("*.txt"):
        text = re.sub(r"\\\n\s*", " ", lock.read_text())
        pins = [line for line in text.splitlines() if line and not line.startswith("#")]
        assert pins
        assert all("==" in pin and "--hash=sha256:" in pin for pin in pins), lock.name


def test_every_dependency_is_locked() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    name = re.compile(r"[A-Za-z0-9_.-]+")
    for lock, wanted in {
        "run": project["dependencies"],
        "dev": project["dependencies"] + project["optional-dependencies"]["dev"],
        "local": project["optional-dependencies"]["local"],
    }.items():
        pins = {
            line.split("==")[0].lower().replace("_", "-")
            for line in (ROOT / f"config/locks/{lock}.txt").read_text().splitlines()
            if "==" in line
        }
        names = {
            match[0].lower().replace("_", "-") for spec in wanted if (match := name.match(spec))
        }
        assert names <= pins, lock


def test_the_advisory_floor_of_aiohttp_is_kept() -> None:
    """SECURITY.md: below 3.14.5 there are known smuggling and memory advisories."""
    locked = re.search(
        r"^aiohttp==([\d.]+)", (ROOT / "config/locks/run.txt").read_text(), re.MULTILINE
    )
    assert locked is not None
    assert tuple(map(int, locked[1].split("."))) >= (3, 14, 5)


def test_the_readme_names_the_two_commands_and_ci_runs_one_of_them() -> None:
    readme = (ROOT / "README.md").read_text().splitlines()
    assert "make run" in readme
    assert "make test" in readme
    assert "README.md" in (ROOT / ".ci/run").read_text()


def test_every_make_target_says_what_it_did() -> None:
    makefile = (ROOT / "Makefile").read_text()
    for target in (
        "install",
        "dev",
        "run",
        "test",
        "test-long",
        "lint",
        "generate",
        "lock",
        "clean",
    ):
        recipe = re.search(rf"^{target}:.*\n((?:\t.*\n|\s*\\\n)+)", makefile, re.MULTILINE)
        assert recipe is not None, target
        assert "echo" in recipe[1].splitlines()[-1], target


def test_importing_the_command_line_does_not_load_heavy_libraries() -> None:
    """Start-up is paid on every restart: nothing heavy before it is needed."""
    heavy = {"openai", "anthropic", "numpy", "faiss", "xllamacpp"}
    code = f"import sys, gateway.app; print(*({heavy!r} & set(sys.modules)))"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == ""
