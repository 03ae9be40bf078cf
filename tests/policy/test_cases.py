"""A policy's tests as they stand in YAML."""

from pathlib import Path

import pytest

from gateway.documents import load_document
from gateway.policy.cases import Case

WHOLE = """
name: a busy provider is told
given:
  endpoint: messages
  tenant: alice
  time: 2026-11-21T08:00:00Z
  headers: {x-team: ml}
  providers: {openai: busy}
  request: {model: gpt-4o, max_tokens: 5}
expect:
  status: 429
  code: upstream_busy
  stages: {relay: ran}
  headers: {retry-after: "*", x-turnout-cost: null}
"""


def read(tmp_path: Path, text: str) -> tuple[Case | None, list[str]]:
    path = tmp_path / "case.yaml"
    path.write_text(text)
    document = load_document(path, {})
    return document.convert(Case), [problem.text for problem in document.problems]


def test_a_case_may_say_everything(tmp_path: Path) -> None:
    case, _ = read(tmp_path, WHOLE.replace("2026-11-21T08:00:00Z", '"2026-11-21T08:00:00Z"'))
    assert case is not None
    assert case.given.providers == {"openai": "busy"}
    assert case.expect.headers == {"retry-after": "*", "x-turnout-cost": None}


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ("{name: a, given: {request: {}}, expect: {state: 200}}", "Did you mean `status`?"),
        ("{name: a, given: {}, expect: {}}", "`request` is missing"),
        (
            "{name: a, given: {request: {}, providers: {p: dwon}}, expect: {}}",
            "Did you mean `down`?",
        ),
        ("{name: a, given: {request: {}, time: noon}, expect: {}}", "a moment in UTC"),
    ],
)
def test_what_it_cannot_mean_is_said(tmp_path: Path, wrong: str, said: str) -> None:
    _, problems = read(tmp_path, wrong)
    assert said in problems[0]
