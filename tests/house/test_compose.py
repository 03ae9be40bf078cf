"""compose.yaml and what its nodes run with fit together."""

import json
import shutil
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path

import yaml

from gateway.policy.setup import load_setup
from gateway.state.redis.store import RedisConfig
from tests.fakes.process import Process, connection, serving, until
from tests.fakes.redis_server import redis_server

ROOT = Path(__file__).parents[2]
COMPOSE = yaml.safe_load((ROOT / "compose.yaml").read_text())
NODES = ("one", "two")


def test_the_nodes_share_one_store_and_keep_their_own_ledgers(tmp_path: Path) -> None:
    services = COMPOSE["services"]
    assert set(services) == {"valkey", *NODES}
    assert "noeviction" in services["valkey"]["command"]
    homes = [volume for node in NODES for volume in services[node]["volumes"]]
    assert [home for home in homes if home.endswith(":/data")] == ["one:/data", "two:/data"]
    mounted = {home.split(":")[0] for home in homes if "gateway.yaml" in home}
    assert mounted == {"./config/container/fleet.yaml"}


def test_what_the_nodes_run_with_loads(tmp_path: Path) -> None:
    (tmp_path / "config").mkdir()
    fleet = (ROOT / "config/container/fleet.yaml").read_text()
    (tmp_path / "config/gateway.yaml").write_text(fleet)
    (tmp_path / "config/models.yaml").write_text((ROOT / "config/models.yaml").read_text())
    environment = {
        **COMPOSE["services"]["one"]["environment"],
        "TURNOUT_KEY": "a-key-of-some-length",
    }
    setup = load_setup(tmp_path / "config", ROOT / "policies", environment)
    assert isinstance(setup.state, RedisConfig)
    assert setup.state.url.reveal() == "redis://valkey:6379/0"


def test_the_same_topology_runs_as_processes(tmp_path: Path) -> None:
    """C06: a key issued at one node opens the other, also while Valkey is gone and after it."""
    question = json.dumps(
        {"model": "simulated/demo", "messages": [{"role": "user", "content": "?"}]}
    )
    with redis_server() as valkey, ExitStack() as stack:
        environment = {
            **COMPOSE["services"]["one"]["environment"],
            "TURNOUT_KEY": "a-key-of-some-length",
            "TURNOUT_PEPPER": "one pepper for both of the nodes",
            "TURNOUT_ADMIN_TOKEN": "a-token-of-some-length",
            "OPENAI_API_KEY": "",
            "ANTHROPIC_API_KEY": "",
            "REDIS_URL": valkey.url,
        }
        nodes = [stack.enter_context(_node(tmp_path / name, environment)) for name in NODES]

        def ask(node: Process, key: str) -> int:
            with connection(node.port) as client:
                headers = {"authorization": f"Bearer {key}", "content-type": "application/json"}
                client.request("POST", "/v1/chat/completions", question, headers)
                return client.getresponse().status

        def problem(node: Process) -> str:
            return str(node.readiness()["problems"].get("state", ""))

        with connection(nodes[0].admin_port) as desk:
            token = {"authorization": "Bearer a-token-of-some-length"}
            desk.request("POST", "/admin/keys", b'{"tenant": "default"}', token)
            issued = json.loads(desk.getresponse().read())["key"]
        until(lambda: ask(nodes[1], issued) == 200, nodes[1])
        valkey.kill()
        assert [ask(node, issued) for node in nodes] == [200, 200]
        until(lambda: all("redis" in problem(node) for node in nodes), nodes[0])
        valkey.start()
        until(lambda: not any(map(problem, nodes)), nodes[0])
        assert [ask(node, issued) for node in nodes] == [200, 200]


@contextmanager
def _node(home: Path, environment: Mapping[str, str]) -> Iterator[Process]:
    """Run what compose.yaml's nodes run, on free ports and with an operator's desk."""
    shutil.copytree(ROOT / "policies", home / "policies")
    (home / "config").mkdir()
    shutil.copy(ROOT / "config/models.yaml", home / "config/models.yaml")
    fleet = (ROOT / "config/container/fleet.yaml").read_text()
    desk = "\nadmin_token: env:TURNOUT_ADMIN_TOKEN\n"
    (home / "config/gateway.yaml").write_text(fleet + desk)
    free = ("--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0")
    with serving(home, *free, environment=environment) as process:
        yield process
