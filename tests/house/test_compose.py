"""compose.yaml and what its nodes run with fit together."""

from pathlib import Path

import yaml

from gateway.policy.setup import load_setup
from gateway.state.redis.store import RedisConfig

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
