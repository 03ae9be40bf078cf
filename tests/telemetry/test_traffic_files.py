"""Files of the traffic log: apart by tenant, whole, private, and gone when their time is over."""

import os
import stat
from pathlib import Path
from threading import Thread

import pytest

from gateway.core.traffic import Keep
from gateway.telemetry.traffic_files import TrafficFiles

KEEP = Keep(days=2, size=10_000_000)
HOUR = 3600.0
NOW = 1_795_000_000.0 // HOUR * HOUR


def files(root: Path) -> list[Path]:
    return sorted(path for path in root.rglob("*") if path.is_file())


def test_tenants_and_policies_are_apart_and_only_the_owner_can_read(tmp_path: Path) -> None:
    log = TrafficFiles(tmp_path / "traffic", "w1")
    for policy, tenant in (("default", "a"), ("default", "b"), ("other", "a")):
        log.append(policy, tenant, KEEP, f"{policy} {tenant}\n".encode(), NOW)
    found = {str(path.parent.relative_to(tmp_path)): path for path in files(tmp_path)}
    assert set(found) == {"traffic/default/a", "traffic/default/b", "traffic/other/a"}
    for path in found.values():
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        for folder in (path.parent, path.parent.parent, tmp_path / "traffic"):
            assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert found["traffic/default/b"].read_text() == "default b\n"


@pytest.mark.parametrize("name", ["../../etc", ".", "..", "", "a/b", ".hidden", "x" * 300, "ä\n"])
def test_no_name_leads_out_of_its_folder(tmp_path: Path, name: str) -> None:
    TrafficFiles(tmp_path / "traffic", "w1").append(name, name, KEEP, b"x\n", NOW)
    (path,) = files(tmp_path)
    assert path.parent.parent.parent == tmp_path / "traffic"


def test_long_names_that_begin_alike_are_apart(tmp_path: Path) -> None:
    log = TrafficFiles(tmp_path, "w1")
    for end in "ab":
        log.append("p", "x" * 200 + end, KEEP, b"x\n", NOW)
    assert len(files(tmp_path)) == 2


def test_a_link_in_a_files_place_is_not_followed(tmp_path: Path) -> None:
    log = TrafficFiles(tmp_path / "traffic", "w1")
    log.append("p", "t", KEEP, b"x\n", NOW)
    (path,) = files(tmp_path)
    path.unlink()
    path.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(OSError, match="symbolic"):
        log.append("p", "t", KEEP, b"x\n", NOW)
    assert not (tmp_path / "elsewhere").exists()


def test_workers_that_write_at_once_tear_no_line(tmp_path: Path) -> None:
    line = b"x" * 9_999 + b"\n"

    def write(worker: str) -> None:
        log = TrafficFiles(tmp_path, worker)
        for _ in range(50):
            log.append("p", "t", KEEP, line * 3, NOW)

    threads = [Thread(target=write, args=(f"w{n}",)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    lines = [
        each for path in files(tmp_path) for each in path.read_bytes().splitlines(keepends=True)
    ]
    assert lines == [line] * 600


def test_half_a_write_is_taken_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log = TrafficFiles(tmp_path, "w1")
    log.append("p", "t", KEEP, b"first\n", NOW)
    whole = os.write

    def full(file: int, data: bytes) -> int:
        if len(data) > 3:
            return whole(file, data[:3])
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "write", full)
    with pytest.raises(OSError, match="No space"):
        log.append("p", "t", KEEP, b"second\n", NOW)
    monkeypatch.undo()
    log.append("p", "t", KEEP, b"third\n", NOW)
    assert files(tmp_path)[0].read_bytes() == b"first\nthird\n"


def test_a_new_hour_and_a_full_file_begin_a_new_one(tmp_path: Path) -> None:
    log, keep = TrafficFiles(tmp_path, "w1"), Keep(days=2, size=1600)
    for moment in (NOW, NOW + 1, NOW + 2, NOW + HOUR):
        log.append("p", "t", keep, b"x" * 59 + b"\n", moment)
    assert [path.stat().st_size for path in files(tmp_path)] == [120, 60, 60]


def test_what_is_older_than_its_days_goes_and_its_folder_with_it(tmp_path: Path) -> None:
    log = TrafficFiles(tmp_path / "traffic", "w1")
    log.append("p", "t", KEEP, b"x\n", NOW)
    assert log.sweep({"p": KEEP}, NOW + 48 * HOUR - 1) == 0
    assert log.sweep({"p": KEEP}, NOW + 48 * HOUR) == 1
    assert list((tmp_path / "traffic").iterdir()) == []


def test_fewer_days_hold_for_what_is_there_and_a_policy_that_records_no_more_keeps_its_word(
    tmp_path: Path,
) -> None:
    log = TrafficFiles(tmp_path, "w1")
    for policy in ("p", "q"):
        log.append(policy, "t", KEEP, b"x\n", NOW)
    assert log.sweep({"p": Keep(days=1, size=10**9)}, NOW + 24 * HOUR) == 1
    assert [path.parent.parent.name for path in files(tmp_path)] == ["q"]
    assert TrafficFiles(tmp_path, "w2").sweep({}, NOW + 48 * HOUR) == 1
    more = Keep(days=9, size=10**9)
    log.append("q", "t", KEEP, b"x\n", NOW)
    assert log.sweep({"q": more}, NOW + 48 * HOUR) == 1


def test_of_too_much_the_oldest_goes_first(tmp_path: Path) -> None:
    log, keep = TrafficFiles(tmp_path, "w1"), Keep(days=9, size=1000)
    for hour in range(20):
        log.append("p", f"t{hour % 2}", keep, b"x" * 99 + b"\n", NOW + hour * HOUR)
    log.append("q", "t", keep, b"x" * 5000 + b"\n", NOW)
    assert log.sweep({"p": keep}, NOW + 20 * HOUR) == 10
    left = files(tmp_path / "p")
    assert sum(path.stat().st_size for path in left) == 1000
    assert min(path.name for path in left) > min(path.name for path in files(tmp_path / "q"))


def test_what_is_no_traffic_log_is_left_alone(tmp_path: Path) -> None:
    folder = tmp_path / "p" / "t"
    folder.mkdir(parents=True)
    (folder / "notes.jsonl").write_text("mine")
    (tmp_path / "file").write_text("mine")
    assert TrafficFiles(tmp_path, "w1").sweep({}, NOW + 10**9) == 0
    assert TrafficFiles(tmp_path / "none", "w1").sweep({}, NOW) == 0
    assert len(files(tmp_path)) == 2
