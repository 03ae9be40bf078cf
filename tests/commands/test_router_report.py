"""What `turnout router eval` prints."""

import json

from gateway.commands.router_report import as_json, as_text
from gateway.stages.complexity_router.evaluation import METHODS, Figure, Report, Share

FIGURES = {method: Figure(0.61234, 0.01, 30.123, 60.0) for method in METHODS}
REPORT = Report(
    rows=900,
    draws=10,
    tested={"own": 500, "mute": 0},
    overall=FIGURES,
    by_source={"own": FIGURES},
    shares={"own": Share(-1.234, 0.96)},
)


def test_programs_find_each_figure_overall_and_by_source() -> None:
    told = json.loads(as_json(REPORT))
    assert told["apgr"] == {"overall": 0.6123, "by_source": {"own": 0.6123, "mute": None}}
    assert told["cpt50"]["by_source"]["own"] == 30.12
    assert told["cpt80"]["overall"] == 60.0
    assert told["share_error_points"] == {"by_source": {"own": -1.23}}
    assert told["share_draws_near"] == {"by_source": {"own": 0.96}}
    assert set(told["beside"]) == {"random", "length", "keyword rules", "cold start"}
    assert told["beside"]["length"]["apgr"]["overall"] == 0.6123


def test_people_find_a_line_for_each_source_and_one_for_all() -> None:
    lines = as_text(REPORT).split("\n")
    assert lines[0] == "900 rows, mean of 10 draws"
    assert lines[2].split("  ")[0] == "SOURCE"
    assert "0.612 / 30.1 / 60.0" in lines[3]
    assert lines[3].endswith("28.8")
    assert lines[4].split() == ["mute", "0", *"-" * 6]
    assert lines[5].startswith("all together  500")


def test_where_nothing_could_be_measured_there_is_nothing_told() -> None:
    bare = Report(10, 1, {"mute": 0}, {}, {}, {})
    assert json.loads(as_json(bare))["apgr"] == {"overall": None, "by_source": {"mute": None}}
    assert "mute" in as_text(bare)
