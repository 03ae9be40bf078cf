"""Whether this process should get traffic."""

from gateway.edge.readiness import Readiness, Warmed


def test_it_is_ready_when_no_warm_up_is_pending() -> None:
    readiness = Readiness()
    assert readiness.ready()
    readiness.warmups["acme"] = Warmed()
    assert not readiness.ready()
    readiness.warmups["acme"].state = "failed"
    assert readiness.ready()


def test_it_is_not_ready_once_it_drains() -> None:
    assert not Readiness(draining=True).ready()


def test_strangers_are_told_which_part_holds_it_back_and_no_more() -> None:
    readiness = Readiness(warmups={"acme": Warmed()}, problems={"policies": "a line"})
    assert readiness.summary() == {"ready": False, "because": ["warmups"]}
    readiness.warmups["acme"].state = "failed"
    assert readiness.summary() == {"ready": True, "because": []}
    readiness.draining = True
    assert readiness.summary() == {"ready": False, "because": ["draining"]}


def test_the_report_names_warm_ups_and_problems() -> None:
    readiness = Readiness(
        warmups={"acme": Warmed("timeout", 5.0004, "no answer")},
        problems={"default.yaml": "line 3: unknown stage"},
        policies=lambda: {"version": "abc"},
    )
    assert readiness.report() == {
        "ready": True,
        "draining": False,
        "warmups": {"acme": {"state": "timeout", "seconds": 5.0, "detail": "no answer"}},
        "problems": {"default.yaml": "line 3: unknown stage"},
        "policies": {"version": "abc"},
    }
