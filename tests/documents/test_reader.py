"""What YAML is read, and what is refused because two readers may read it apart."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.documents import Invalid, load_document
from gateway.documents.reader import Reader


def problems(text: str) -> list[str]:
    reader = Reader("x.yaml")
    reader.read(text)
    return [str(problem) for problem in reader.problems]


def value(text: str) -> object:
    reader = Reader("x.yaml")
    tree = reader.read(f"key: {text}\n")
    assert not reader.problems
    return tree["key"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("true", True),
        ("false", False),
        ("null", None),
        ("~", None),
        ("", None),
        ("0", 0),
        ("-12", -12),
        ("1.50", 1.5),
        ('"yes"', "yes"),
        ("'010'", "010"),
        ("plain text", "plain text"),
        ("gpt-4.1-mini", "gpt-4.1-mini"),
        ("127.0.0.1:8080", "127.0.0.1:8080"),
        ("1.2.3", "1.2.3"),
        ("[1, a]", [1, "a"]),
        ("{a: {b: c}}", {"a": {"b": "c"}}),
        ("|\n  one\n  two\n", "one\ntwo\n"),
    ],
)
def test_plain_values_are_read_as_everybody_reads_them(text: str, expected: object) -> None:
    found = value(text)
    assert found == expected
    assert type(found) is type(expected)


@pytest.mark.parametrize(
    "text",
    [
        *("yes", "No", "on", "OFF", "TRUE", "False", "Null"),
        *("010", "0o17", "0x1F", "0b11", "1_000", "+1", "1e3", "1.", ".5", ".inf", "-.NaN"),
        *("1:30", "12:30:00", "190:20:30.15", "2026-11-21", "2026-11-21T10:00:00Z", "="),
    ],
)
def test_a_value_that_yaml_readers_read_apart_is_refused_with_a_cure(text: str) -> None:
    (problem,) = problems(f"key: {text}\n")
    assert problem.startswith(f"x.yaml:1: `{text}` is read in different ways: ")
    assert "quote it" in problem
    assert problems(f"{text}: value\n") == [problem]
    assert problems(f'key: "{text}"\n') == []


def test_all_problems_of_a_file_are_said_at_once_with_their_lines() -> None:
    text = "a: yes\nb: {a: 1, a: 2}\nc: &x 3\nd: *x\ne: !!int 3\n<<: {}\n2: x\n? [k]\n: 1\n"
    assert [problem.split(":")[1] for problem in problems(text)] == [*"12345678"]


def test_a_key_that_is_there_twice_names_the_first_line() -> None:
    assert problems("a: 1\nb: 2\na: 3\n") == ["x.yaml:3: `a` is here twice: see line 1."]


def test_a_second_document_is_refused() -> None:
    assert problems("a: 1\n---\nb: 2\n") == [
        "x.yaml:2: a file holds one document: remove this `---`."
    ]


@pytest.mark.parametrize("opening", ["[", "- ", "{a: "])
def test_nesting_is_bounded(opening: str) -> None:
    assert problems(opening * 200) == ["x.yaml:1: this is nested deeper than 32 levels."]


def test_an_alias_bomb_is_refused_without_being_expanded() -> None:
    rows = ["a0: &a0 [x, x, x, x]"]
    rows += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]" for i in range(1, 9)]
    found = problems("\n".join(rows))
    assert len(found) > 8
    assert all("anchors and aliases are not read here" in problem for problem in found)


@pytest.mark.parametrize("text", ["a: [", "a: b: c", "a:\n\t- b", "'", "\0", "? {", "%YAML 3"])
def test_what_is_not_yaml_says_where(text: str) -> None:
    (problem,) = problems(text)
    assert problem.startswith(("x.yaml:1: this is not YAML: ", "x.yaml:2: this is not YAML: "))


@pytest.mark.parametrize(
    "url",
    [
        "https://me:hunter2@api.example.com/v1",
        "redis://:hunter2@localhost/0",
        "https://api.example.com/v1?api_key=hunter2",
        "https://api.example.com/v1?a=b&TOKEN=hunter2",
    ],
)
def test_j07_a_url_with_credentials_is_refused_and_not_repeated(url: str) -> None:
    (problem,) = problems(f"base_url: {url}\n")
    assert "holds no credentials" in problem
    assert "hunter2" not in problem


@pytest.mark.parametrize(
    "url", ["https://api.example.com/v1?key_count=3", "https://api.example.com/a@b", "me@home"]
)
def test_a_harmless_url_is_read(url: str) -> None:
    assert problems(f"base_url: {url}\n") == []


def test_text_that_looks_like_a_key_is_refused_anywhere_and_not_repeated() -> None:
    canary = "sk-proj-abcdefghijklmnop1234"
    (problem,) = problems(f"headers:\n  x-note: Bearer {canary}\n")
    assert problem.startswith("x.yaml:2: this looks like a secret")
    assert canary not in problem


@given(st.text())
def test_no_text_breaks_the_reader(text: str) -> None:
    reader = Reader("x.yaml")
    reader.read(text)
    assert all(problem.line >= 1 for problem in reader.problems)


def test_a_missing_a_huge_and_a_binary_file_say_so(tmp_path: Path) -> None:
    path = tmp_path / "x.yaml"
    with pytest.raises(Invalid, match=r"x.yaml: cannot be read: No such file"):
        load_document(path, {})
    path.write_bytes(b"a: " + b"x" * (1 << 20))
    with pytest.raises(Invalid, match=r"x.yaml: is larger than 1 MiB"):
        load_document(path, {})
    path.write_bytes(b"a: b\nc: \xff\n")
    with pytest.raises(Invalid, match=r"x.yaml:2: this is not UTF-8"):
        load_document(path, {})
