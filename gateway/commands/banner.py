"""What a person sees when the gateway starts in a terminal."""

import os
import sys
from collections import defaultdict
from collections.abc import Iterator

from gateway.policy.setup import Setup
from gateway.settings import Address, parse_address
from gateway.telemetry.log import Log

STDOUT = 1


def announce(setup: Setup, port: int, admin_port: int, log: Log) -> None:
    """Tell a person or the log where we are."""
    listen = Address(parse_address(setup.settings.listen).host, port)
    admin = Address(parse_address(setup.settings.admin).host, admin_port)
    if os.isatty(STDOUT):
        sys.stdout.write(banner(setup, listen, admin) + "\n\n")
        sys.stdout.flush()
    else:
        served = list(setup.catalogue.served())
        log.info("serving", listen=str(listen), admin=str(admin), models=served)


def banner(setup: Setup, listen: Address, admin: Address) -> str:
    """Return addresses, models and a first request to try."""
    return "\n".join(_lines(setup, listen, admin))


def _lines(setup: Setup, listen: Address, admin: Address) -> Iterator[str]:
    catalogue = setup.catalogue
    yield f"Turnout serves  http://{_reachable(listen)}/v1"
    yield f"health, metrics http://{_reachable(admin)}/readyz  /metrics"
    yield ""
    for name in catalogue.served():
        target = catalogue.find(name)
        kind = f"-> {target.model.name}" if target.chosen else f"by {target.model.provider}"
        yield f"  {name:<28} {kind}"
    missing: dict[str, list[str]] = defaultdict(list)
    for name, reason in catalogue.unserved.items():
        missing[reason].append(name)
    for reason, names in missing.items():
        yield f"  not served: {', '.join(names)}. {reason}"
    served = list(catalogue.served())
    name = "default" if "default" in served else next(iter(served), "")
    if name:
        yield ""
        yield "Try it:"
        yield f"  curl http://{_reachable(listen)}/v1/chat/completions \\"
        yield "    -H 'content-type: application/json' \\"
        if setup.settings.keys or setup.settings.require_key:
            yield "    -H 'authorization: Bearer YOUR_KEY' \\"
        message = '{"role": "user", "content": "Hello!"}'
        yield f"""    -d '{{"model": "{name}", "messages": [{message}]}}'"""
    yield ""
    yield "Stop with Ctrl-C."


def _reachable(address: Address) -> Address:
    """Return an address that a client on this machine can use."""
    if address.host in {"", "0.0.0.0", "::"}:  # noqa: S104 - shown, not bound
        return Address("127.0.0.1", address.port)
    return address
