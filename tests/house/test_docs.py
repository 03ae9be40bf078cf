"""Every example in README and docs runs: YAML loads, commands and snippets answer."""

import asyncio
import gzip
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from gateway.__main__ import main
from gateway.core import wire
from gateway.policy.setup import load_setup
from gateway.trial.run import run_trials
from tests.fakes.gateway import open_test_gateway, write_config
from tests.telemetry.test_traffic import record

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
FENCE = re.compile(r"^```(\w+)\n(.*?)^```", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\((?!https?:|#)([^)#]+)")
LOCAL_MODEL = "local/smollm2"
BEGINNING = ROOT / "docs/getting-started.md"
SHIPPED = ("config/gateway.yaml", "config/models.yaml", "policies/default.yaml")
ASKED = [{"role": "user", "content": "How do I learn French?"}]
OPERATOR = {"TURNOUT_ADMIN_TOKEN": "a-token-for-operators"}


def examples(language: str) -> list[tuple[str, str]]:
    return [
        (f"{page.name}#{number}", text)
        for page in PAGES
        for number, (kind, text) in enumerate(FENCE.findall(page.read_text()), 1)
        if kind == language
    ]


NAMED = re.compile(r"# ((?:config|policies)/\S+\.yaml)\n")
PART = re.compile(r"# in ((?:config|policies)/\S+\.yaml)\n")
"""A file that others on the page stand for too, or only what is to be added to it."""


def files_of(page: Path) -> dict[str, str]:
    """The files that a page's examples name."""
    texts = [text for kind, text in FENCE.findall(page.read_text()) if kind == "yaml"]
    return {named[1]: text for text in texts if (named := NAMED.match(text))}


@pytest.mark.parametrize(
    "page", [page for page in PAGES if files_of(page)], ids=lambda page: page.name
)
def test_the_files_that_examples_name_are_one_right_configuration(
    page: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """They pass `turnout check`, their own tests included, without a warning.

    A page without a gateway.yaml of its own adds to those of policies.md, or where it begins with
    `make run` to those that are shipped.
    """
    for name in ("config", "policies"):
        (tmp_path / name).mkdir()
    files = shown = files_of(page)
    if page.name == BEGINNING.name:
        files = {path: (ROOT / path).read_text() for path in SHIPPED} | files
    elif "config/gateway.yaml" not in files:
        files = shown = files_of(ROOT / "docs/policies.md") | files
    for path, text in files.items():
        (tmp_path / path).write_text(text)
        for variable in re.findall(r"env:(\w+)", text):
            monkeypatch.setenv(variable, f"the value of {variable}")
    code = main(["check", str(tmp_path)])
    said = capsys.readouterr().out
    ours = [line for line in said.splitlines() if any(f"/{path}:" in line for path in shown)]
    assert (code, ours) == (0, []), said


@pytest.mark.parametrize(
    ("place", "text"), [each for each in examples("yaml") if not NAMED.match(each[1])]
)
def test_a_yaml_example_loads(place: str, text: str, tmp_path: Path) -> None:
    for name in ("config", "policies"):
        (tmp_path / name).mkdir()
    for path in ("config/gateway.yaml", "config/models.yaml", "policies/default.yaml"):
        (tmp_path / path).write_text((ROOT / path).read_text())
    kinds = {
        "pipeline:": "policies/default.yaml",
        "models:": "config/models.yaml",
        "tenants:": "policies/tenants.yaml",
    }
    part = PART.match(text)
    first = next((path for key, path in kinds.items() if f"\n{key}" in f"\n{text}"), None)
    assert part is None or part[1] == (first or "config/gateway.yaml")
    (tmp_path / (first or "config/gateway.yaml")).write_text(text)
    if first == "config/models.yaml":
        needed = sorted(set(re.findall(r"provider: (\w+)", text)) - {"openai", "anthropic"})
        blocks = "".join(
            f"  {n}: {{kind: simulated}}\n" for n in needed if n not in ("local", "simulated")
        )
        gateway = tmp_path / "config/gateway.yaml"
        gateway.write_text(gateway.read_text() + blocks)
    elif first is None:
        (tmp_path / "config/models.yaml").write_text("models: {}\n")
    environment = {name: f"the value of {name}" for name in re.findall(r"env:(\w+)", text)}
    environment["REDIS_URL"] = "redis://a-value"
    setup = load_setup(tmp_path / "config", tmp_path / "policies", environment)
    assert asyncio.run(run_trials(setup)) == []


def _here(text: str, root: str) -> str:
    """The example as it is, but asking the simulated model of a gateway on a free port."""
    return text.replace("http://127.0.0.1:8080", root).replace(LOCAL_MODEL, "simulated/demo")


async def _run(*command: str) -> str:
    process = await asyncio.create_subprocess_exec(
        *command,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        env={**os.environ, **OPERATOR},
    )
    out, _ = await process.communicate()
    assert process.returncode == 0, out.decode()
    return out.decode()


@pytest.mark.parametrize(("place", "text"), examples("python"))
async def test_a_python_example_prints_an_answer(place: str, text: str) -> None:
    async with open_test_gateway() as gateway:
        printed = await _run(sys.executable, "-c", _here(text, gateway.root))
    assert len(printed.strip()) > 10


@pytest.mark.parametrize(
    ("place", "text"),
    [(place, text) for place, text in examples("sh") if "curl" in text and "$KEY" not in text],
)
async def test_a_curl_example_is_answered(place: str, text: str) -> None:
    settings = {"admin_token": "env:TURNOUT_ADMIN_TOKEN"}
    async with open_test_gateway(OPERATOR, settings=settings) as gateway:
        text = _here(text, gateway.root).replace("http://127.0.0.1:8081", gateway.admin_url)
        printed = await _run("sh", "-euc", text.replace("curl ", "curl -sS --fail-with-body "))
    assert printed.strip()


@pytest.mark.parametrize(
    ("place", "text"), [each for each in examples("sh") if "turnout keys" in each[1]]
)
def test_an_example_of_keys_works(place: str, text: str, tmp_path: Path) -> None:
    """Line by line; an id is that of the key that was made before."""
    write_config(tmp_path)
    made = ""
    for line in text.splitlines():
        words = re.sub(r"\b[0-9a-f]{12}\b", made, line).split()
        assert words[0] == "turnout"
        command = [sys.executable, "-m", "gateway", *words[1:]]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
        found = re.search(r"\b[0-9a-f]{12}\b", done.stdout + done.stderr)
        assert found is not None
        made = found[0]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("place", "text"), [each for each in examples("sh") if "turnout cache eval" in each[1]]
)
def test_an_example_of_an_evaluation_works(place: str, text: str, tmp_path: Path) -> None:
    """On files of the names that it gives, where the default data directory is."""
    pytest.importorskip("onnxruntime", reason="the extra `semantic` is not installed")
    write_config(tmp_path, settings={"embedder": {"kind": "minilm"}})
    pair = {"a": "How do I learn French?", "b": "How can I learn French?", "y": 1}
    (tmp_path / "pairs.jsonl.gz").write_bytes(gzip.compress(json.dumps(pair).encode()))
    (tmp_path / "data/traffic/default/website").mkdir(parents=True)
    log = tmp_path / "data/traffic/default/website/20261121T22-7d-abc-0.jsonl"
    log.write_bytes(wire.encode(record(request={"model": "m", "messages": ASKED})))
    command = [sys.executable, "-m", "gateway", *text.split()[1:]]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "lookups" in done.stdout or "look-ups" in done.stdout


def test_every_page_is_linked_from_the_readme() -> None:
    linked = set(LINK.findall((ROOT / "README.md").read_text()))
    assert {str(page.relative_to(ROOT)) for page in PAGES[1:]} <= linked


def test_every_command_in_the_docs_exists() -> None:
    shown = subprocess.run(
        [sys.executable, "-m", "gateway", "--help"], capture_output=True, text=True, check=True
    ).stdout
    named = {
        command
        for page in PAGES
        for command in re.findall(r"(?:`|\n)turnout ([a-z]+)", page.read_text())
    }
    assert named
    assert not {command for command in named if not re.search(rf"\n +{command}\b", shown)}


def test_every_make_target_in_the_docs_exists() -> None:
    makefile = (ROOT / "Makefile").read_text()
    named = {t for page in PAGES for t in re.findall(r"\bmake ([a-z][a-z-]+)`", page.read_text())}
    assert not {t for t in named if not re.search(rf"^{t}:", makefile, re.MULTILINE)}


@pytest.mark.parametrize("page", [*PAGES, *ROOT.glob("*.md")], ids=lambda p: p.name)
def test_every_link_leads_somewhere(page: Path) -> None:
    missing = [link for link in LINK.findall(page.read_text()) if not (page.parent / link).exists()]
    assert not missing
