"""`turnout providers`: how a running gateway's targets are, asked of its admin listener."""

import argparse
import sys
from collections.abc import Iterator, Mapping, Sequence
from http.client import HTTPConnection, HTTPException
from typing import Any, Final

from gateway.commands.options import Commands, add_folders, address, setup_of
from gateway.core import wire
from gateway.settings import Settings, parse_address

FAILED: Final = 1
PATH: Final = "/admin/providers"
PATIENCE: Final = 5.0
"""Seconds to wait for an answer."""
HEAD: Final = (
    *("PROVIDER", "MODEL", "STATE", "PROBE IN", "PAUSED", "KEY", "NOW"),
    *("TTFT EWMA", "P50", "P95", "TIMEOUT", "SUCCESS"),
)


def add_to(commands: Commands) -> None:
    """Add the command."""
    parser = commands.add_parser(
        "providers",
        help="show the health of a running gateway's targets",
        description="Ask the running gateway how its failover targets are: breakers, pauses, keys, "
        "times to first token (seconds) and the least likely share of successes. It needs the "
        "`admin_token` of gateway.yaml.",
    )
    add_folders(parser)
    parser.add_argument(
        "--admin", type=address, metavar="HOST:PORT", help="where it listens, if not as configured"
    )
    parser.add_argument(
        "--format", choices=("text", "json"), default="text", help="(default: text)"
    )
    parser.set_defaults(run=run)


def run(given: argparse.Namespace) -> int:
    """Print the table, or say why there is none."""
    settings = setup_of(given).settings
    token = settings.admin_token
    if token is None:
        sys.stderr.write("/admin is off: set `admin_token` in gateway.yaml, and restart.\n")
        return FAILED
    try:
        status, body = ask(settings, token.reveal())
    except (OSError, HTTPException) as error:
        sys.stderr.write(f"no gateway answers at {settings.admin}: {error}.\n")
        return FAILED
    if status != 200:  # noqa: PLR2004 - all is well
        sys.stderr.write(f"the gateway at {settings.admin} answers {status}: {body.decode()}\n")
        return FAILED
    report = wire.decode(body)
    if given.format == "json":
        print(wire.encode_pretty(report))
    else:
        print("\n".join(table(report)))
    return 0


def ask(settings: Settings, token: str) -> tuple[int, bytes]:
    """Return status and body of the page. Raises OSError or HTTPException."""
    at = parse_address(settings.admin)
    connection = HTTPConnection(at.host, at.port, timeout=PATIENCE)
    try:
        connection.request("GET", PATH, headers={"authorization": f"Bearer {token}"})
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


def table(report: Mapping[str, Any]) -> Sequence[str]:
    """Return the lines for one process, or for each worker."""
    workers = report.get("workers")
    if workers is None:
        return list(_lines(report))
    lines = []
    for worker in workers:
        lines += [f"worker {worker['worker']}", *_lines(worker), ""]
    return lines


def _lines(report: Mapping[str, Any]) -> Iterator[str]:
    if not report["targets"]:
        yield "No policy has a `failover` stage, or none that met a request yet."
        return
    rows = [HEAD, *map(_row, report["targets"])]
    widths = [max(len(row[column]) for row in rows) for column in range(len(HEAD))]
    for row in rows:
        cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        yield "  ".join(cells).rstrip()
    for budget in report["budgets"]:
        yield (
            f"retries among {budget['providers']}: {budget['tokens']} left, "
            f"{budget['granted']} granted, {budget['refused']} refused"
        )
    yield from map(_order, report["orders"])
    if report["suspects"]:
        yield f"requests under suspicion: {report['suspects']}"


def _order(order: Mapping[str, Any]) -> str:
    """Return in which order targets are tried, by what, and why one is passed over."""
    targets = []
    for each in order["targets"]:
        by = f" {each['by']}" if each["by"] else ""
        but = f" ({', '.join(each['but'])})" if each["but"] else ""
        targets.append(f"{each['provider']}/{each['model']}{by}{but}")
    low = ", those that often fail last, for few retries are left" if order["retries_low"] else ""
    return f"order by `{order['strategy']}`{low}: {', '.join(targets)}"


def _row(target: Mapping[str, Any]) -> tuple[str, ...]:
    return (
        target["provider"],
        target["model"],
        target["breaker"],
        _seconds(target["probe_in"]),
        _seconds(target["paused_for"] or None),
        target["key"],
        str(target["outstanding"]),
        _seconds(target["ttft_ewma"] or None),
        _seconds(target["ttft_p50"]),
        _seconds(target["ttft_p95"]),
        _seconds(target["first_token_timeout"]),
        f"{target['success_bound']:.3f}" if target["tries"] else "-",
    )


def _seconds(seconds: float | None) -> str:
    return "-" if seconds is None else f"{seconds:.2f}"
