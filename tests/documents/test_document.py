"""From YAML to structs: every misfit at its line, and secrets only by reference."""

from collections.abc import Mapping
from pathlib import Path

import pytest
from msgspec import Struct

from gateway.core.secret import Secret
from gateway.core.text_file import TextFile
from gateway.documents import Document, load_document
from gateway.documents.document import MAX_BESIDE, read_beside, read_secret


class Provider(Struct, frozen=True, forbid_unknown_fields=True):
    base_url: str = ""
    key: Secret | None = None


class File(Struct, frozen=True, forbid_unknown_fields=True):
    providers: Mapping[str, Provider] = {}
    pipeline: tuple[Provider, ...] = ()
    mode: str = "direct"


def document(tmp_path: Path, text: str, environment: Mapping[str, str] | None = None) -> Document:
    path = tmp_path / "x.yaml"
    path.write_text(text, encoding="utf-8")
    return load_document(path, environment or {})


DOUBTFUL = "is read in different ways: write"


def said(read: Document) -> list[str]:
    return [f"{problem.line}: {problem.text}" for problem in sorted(read.problems)]


def test_a_fitting_document_becomes_structs(tmp_path: Path) -> None:
    read = document(
        tmp_path,
        "mode: replay\nproviders:\n  one: {base_url: 'http://a', key: env:KEY}\n",
        {"KEY": " hunter2\n"},
    )
    file = read.convert(File)
    assert file is not None
    assert read.problems == []
    key = file.providers["one"].key
    assert key is not None
    assert key.reveal() == "hunter2"
    assert key.source == "env:KEY"


def test_an_empty_document_is_all_defaults(tmp_path: Path) -> None:
    assert document(tmp_path, "# nothing\n").convert(File) == File()


def test_what_fits_is_looked_at_though_not_all_does(tmp_path: Path) -> None:
    """What is found out about a struct that lost a field is not said: it may come from that."""
    read = document(tmp_path, "pipeline:\n- {base_ulr: b}\n- 3\n- {base_url: a}\n")
    assert read.convert(File) == File(pipeline=(Provider(), Provider(base_url="a")))
    read.report(("pipeline", 0), "has no base_url.")
    read.report(("pipeline",), "is short.")
    read.report(("pipeline", 1, "base_url"), "is no address.")
    assert said(read) == [
        "2: pipeline[0].base_ulr: there is no such field. Did you mean `base_url`?",
        "3: pipeline[1]: this must be a mapping, not a whole number.",
        "4: pipeline[2].base_url: is no address.",
    ]


def test_a_doubtful_value_spoils_its_line_only(tmp_path: Path) -> None:
    read = document(tmp_path, "mode: yes\nprovider: {}\nproviders: 010\n")
    assert read.convert(File) == File(mode="yes")
    read.report(("mode",), "there is no such mode.")
    assert said(read) == [
        f"1: `yes` {DOUBTFUL} true, or quote it if it is text.",
        "2: provider: there is no such field. Did you mean `providers`?",
        f"3: `010` {DOUBTFUL} a plain decimal number, or quote it if it is text.",
    ]


def test_a_problem_stands_at_the_nearest_written_line(tmp_path: Path) -> None:
    read = document(tmp_path, "mode: a\nproviders:\n  one:\n    base_url: a\n")
    read.report(("providers", "one", "key"), "is needed.")
    read.report(("pipeline", 3), "is missing.")
    read.report((), "is odd.")
    assert said(read) == [
        "1: is odd.",
        "1: pipeline[3]: is missing.",
        "3: providers.one.key: is needed.",
    ]


def test_a_secret_comes_from_the_environment_or_a_file(tmp_path: Path) -> None:
    held = tmp_path / "key"
    held.write_text("hunter2\n")
    assert read_secret("env:KEY", {"KEY": "hunter2"}).reveal() == "hunter2"
    assert read_secret(f"file:{held}", {}).reveal() == "hunter2"


def test_a_secret_that_is_not_there_says_why(tmp_path: Path) -> None:
    (tmp_path / "empty").write_text(" \n")
    (tmp_path / "binary").write_bytes(b"\xff\xfe")
    for source, why in {
        "env:KEY": "is not set",
        f"file:{tmp_path}/none": "cannot be read: No such file or directory",
        f"file:{tmp_path}": "cannot be read: Is a directory",
        f"file:{tmp_path}/empty": "is empty",
        f"file:{tmp_path}/binary": "is not UTF-8 text",
    }.items():
        secret = read_secret(source, {"KEY": " "})
        assert not secret.present
        assert (secret.source, secret.missing) == (source, why)
        with pytest.raises(LookupError, match=why):
            secret.reveal()


@pytest.mark.parametrize("given", ["hunter2", "env:", "env:a b", "file:relative", "ENV:X", 3, None])
def test_j07_a_literal_secret_is_refused_and_not_repeated(given: object) -> None:
    with pytest.raises(ValueError, match="stays out of this file") as caught:
        read_secret(given, {"a b": "x"})
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize("value", ["ab\nc", "sk-\x07", "schl\u00fcssel"])
def test_a_secret_that_cannot_be_sent_as_a_key_is_refused_with_its_line(
    tmp_path: Path, value: str
) -> None:
    held = tmp_path / "key"
    held.write_text(value)
    for source in ("env:KEY", f"file:{held}"):
        with pytest.raises(ValueError, match="cannot be a key") as caught:
            read_secret(source, {"KEY": value})
        assert source in str(caught.value)
        assert value not in str(caught.value)


class Naming(Struct, frozen=True, forbid_unknown_fields=True):
    model: TextFile | None = None


def test_a_file_that_is_named_is_read_from_the_same_folder(tmp_path: Path) -> None:
    (tmp_path / "router.json").write_text("{}")
    assert document(tmp_path, "model: router.json\n").convert(Naming) == Naming(
        TextFile("router.json", "{}")
    )


def test_a_file_that_cannot_be_read_is_said_at_its_line(tmp_path: Path) -> None:
    (tmp_path / "large.json").write_bytes(b" " * (MAX_BESIDE + 1))
    (tmp_path / "binary.json").write_bytes(b"\xff\xfe")
    for name, what in {
        "none.json": "none.json cannot be read: No such file or directory.",
        "large.json": "large.json is larger than 4 MiB.",
        "binary.json": "binary.json is not UTF-8 text.",
        "../up.json": "this must be the name of a .json file in the same folder.",
        "secrets.env": "this must be the name of a .json file in the same folder.",
    }.items():
        read = document(tmp_path, f"# a comment\nmodel: {name}\n")
        assert read.convert(Naming) == Naming()
        assert said(read) == [f"2: model: {what}"]
    with pytest.raises(ValueError, match=r"a \.json file"):
        read_beside(3, tmp_path)
