"""D18: Retry-After as anybody may write it, and YAML files with anything in them."""

import contextlib
import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.documents import Invalid
from gateway.policy.setup import load_setup
from gateway.providers.transport.upstream_errors import MAX_RETRY_AFTER, parse_retry_after
from tests.fakes.mutations import mutated

ROOT = Path(__file__).parents[2]
FILES = ("config/gateway.yaml", "config/models.yaml", "policies/default.yaml")
NOW = 1_700_000_000.0
DATES = st.datetimes().map(lambda at: at.strftime("%a, %d %b %Y %H:%M:%S GMT"))
HEADERS = (
    st.text(max_size=40)
    | st.floats().map(str)
    | st.integers().map(str)
    | st.floats(-9, 9).map(str)
    | DATES
    | mutated(DATES.map(str.encode), (b"-", b":", b"99999", b"GMT", b"+9999"), 3).map(
        lambda data: data.decode("latin-1")
    )
)
YAML = (
    *(b"\n", b"  ", b"\t", b"- ", b": ", b"{", b"}", b"[", b"]", b"'", b'"', b"#", b"&a ", b"*a"),
    *(b"<<: ", b"!!python/object ", b"---\n", b"...\n", b"|\n", b">-\n", b"? ", b"%YAML 1.1\n"),
    *(b"null", b"yes", b"0o17", b"1e9", b".inf", b"2026-01-01", b"\xff", b"\xef\xbb\xbf", b"\0"),
    *(b"env:X", b"file:/nowhere", b"kind: ", b"providers:", b"models:", b"listen: ", b"limits:"),
)


@given(st.dictionaries(st.sampled_from(["retry-after", "retry-after-ms"]), HEADERS))
def test_a_retry_after_is_seconds_or_nothing(headers: dict[str, str]) -> None:
    seconds = parse_retry_after(headers, NOW)
    assert seconds is None or 0 <= seconds <= MAX_RETRY_AFTER


@pytest.mark.parametrize("name", FILES)
@given(st.data())
def test_a_file_with_anything_in_it_is_read_or_refused(name: str, data: st.DataObject) -> None:
    """The loader raises Invalid and nothing else, and each problem has its place."""
    shipped = (ROOT / name).read_bytes()
    text = data.draw(mutated(st.just(shipped), YAML, 3) | mutated(st.just(b""), YAML, 12))
    with tempfile.TemporaryDirectory() as folder, contextlib.suppress(Invalid):
        for path in FILES:
            (Path(folder) / path).parent.mkdir(exist_ok=True)
            (Path(folder) / path).write_bytes(text if path == name else (ROOT / path).read_bytes())
        load_setup(Path(folder) / "config", Path(folder) / "policies", {})
