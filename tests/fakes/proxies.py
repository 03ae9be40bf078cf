"""nginx and haproxy as docs/http.md says to configure them, in front of a gateway on loopback."""

import asyncio
import os
import shutil
import signal
import socket
import tempfile
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import pytest

PATHS = os.pathsep.join((os.environ.get("PATH", ""), "/usr/sbin", "/usr/local/sbin"))
DOCS = (Path(__file__).parents[2] / "docs/http.md").read_text()


def documented(kind: str) -> str:
    """Return the block of configuration that the docs show for this proxy."""
    return DOCS.partition(f"```{kind}\n")[2].partition("```")[0]


def nginx(folder: Path, shown: str) -> str:
    places = "".join(
        f"{name}_temp_path {folder}/{name};\n"
        for name in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    return f"""
daemon off; master_process off; pid {folder}/pid; error_log {folder}/errors;
events {{ worker_connections 1024; }}
http {{
  {places}
  log_format counted "seen $upstream_addr";
  access_log {folder}/seen counted;
  {shown}
}}
"""


def haproxy(folder: Path, shown: str) -> str:
    del folder
    return f"""
global
  log stdout format raw local0
defaults
  mode http
  log global
  log-format "seen %s"
{shown}
"""


@dataclass(frozen=True)
class Kind:
    """A program, its configuration around the documented part, and how it is run and stopped."""

    wrap: Callable[[Path, str], str]
    arguments: tuple[str, ...]
    stop: signal.Signals
    nowhere: str
    """What it logs for a request that it did not pass on."""


KINDS = {
    "nginx": Kind(nginx, ("-e", "{folder}/errors", "-c"), signal.SIGQUIT, "-"),
    "haproxy": Kind(haproxy, ("-db", "-f"), signal.SIGUSR1, "<NOSRV>"),
}


class Proxy:
    """`forwarded` is how many requests it passed on, once it has stopped."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.forwarded = 0


@asynccontextmanager
async def open_proxy(name: str, gateway: int) -> AsyncIterator[Proxy]:
    """Run the proxy in front of a gateway's port. Skips the test where it is not installed."""
    program = shutil.which(name, path=PATHS)
    if program is None:
        pytest.skip(f"{name} is not installed")
    kind = KINDS[name]
    with tempfile.TemporaryDirectory() as home:
        folder = Path(home)
        port = free_port()
        shown = documented(name).replace("127.0.0.1:8080", f"127.0.0.1:{gateway}")
        text = kind.wrap(folder, shown.replace("*:80", f"127.0.0.1:{port}"))
        (folder / "config").write_text(text)
        arguments = [part.format(folder=folder) for part in kind.arguments]
        with (folder / "output").open("wb") as output:
            process = await asyncio.create_subprocess_exec(
                program, *arguments, str(folder / "config"), stdout=output, stderr=output
            )
        proxy = Proxy(port)
        try:
            await until_open(port, folder / "output")
            yield proxy
            process.send_signal(kind.stop)
            async with asyncio.timeout(10):
                await process.wait()
            proxy.forwarded = count(folder, kind)
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()


def count(folder: Path, kind: Kind) -> int:
    log = folder / "seen"
    lines = (log if log.exists() else folder / "output").read_text().splitlines()
    seen = [line.removeprefix("seen ") for line in lines if line.startswith("seen ")]
    return len(seen) - seen.count(kind.nowhere)


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port: int = probe.getsockname()[1]
        return port


async def until_open(port: int, output: Path) -> None:
    for _ in range(500):
        with suppress(ConnectionRefusedError):
            _, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.close()
            await writer.wait_closed()
            return
        await asyncio.sleep(0.01)
    raise AssertionError(output.read_text())
