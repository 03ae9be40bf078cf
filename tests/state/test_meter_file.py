"""What a node charged to each budget, for the day on which Redis is lost."""

from pathlib import Path

from gateway.state.ledger_file import LedgerFile
from gateway.state.meter_file import MeterFile
from tests.fakes.clock import FakeClock


async def test_charges_add_up_over_runs_until_their_window_is_long_over(tmp_path: Path) -> None:
    clock = FakeClock()
    for run in range(2):
        ledger = LedgerFile(tmp_path, clock)
        await ledger.writer.start()
        meter = MeterFile(ledger.writer, clock)
        assert await meter.node(f"node-{run}") == ("node-0", "epoch-1" if run else "")
        meter.add("usd", 5, 1000.0)
        meter.add("usd", 7, 1000.0)
        meter.add("old", 1, 10.0)
        assert sorted(await meter.sums(0.0)) == [
            *(("old", 1 + run, 10.0), ("usd", 12 + 12 * run, 1000.0)),
        ]
        await meter.restored("epoch-1")
        await ledger.writer.close()
    ledger = LedgerFile(tmp_path, clock)
    await ledger.writer.start()
    meter = MeterFile(ledger.writer, clock)
    assert list(await meter.sums(86_400.0 + 11)) == [("usd", 24, 1000.0)]
    await ledger.writer.close()


async def test_charges_are_on_disk_soon(tmp_path: Path) -> None:
    clock = FakeClock()
    ledger = LedgerFile(tmp_path, clock)
    await ledger.writer.start()
    meter = MeterFile(ledger.writer, clock)
    await meter.node("node")
    meter.add("usd", 5, 1000.0)
    await clock.advance(0.2)
    found = await ledger.writer.read(lambda c: c.execute("SELECT spent FROM meter").fetchall())
    assert found == [(5,)]
    await ledger.writer.close()
