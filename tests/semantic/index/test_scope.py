"""One scope: what is added is found at once, what is removed never again, whatever is merged."""

from gateway.semantic.index.scope import PLAIN, Scope
from tests.semantic.index.vectors import DIMENSIONS, unit


def _scope(count: int) -> Scope:
    scope = Scope(DIMENSIONS)
    for number in range(count):
        scope.add(f"n{number}", unit(number), number)
    return scope


def _nearest(scope: Scope, seed: int) -> str:
    found = scope.named(scope.search().run(unit(seed), 3), 3)
    return found[0][0] if found else ""


def _merge(scope: Scope) -> None:
    merge = scope.begin()
    scope.end(merge, merge.run())


def test_a_small_scope_is_a_plain_matrix_and_a_larger_one_wants_a_bulk() -> None:
    assert not _scope(PLAIN).wants_merge()
    scope = _scope(PLAIN + 1)
    assert scope.wants_merge()
    _merge(scope)
    assert scope.sealed == PLAIN + 1
    assert scope.size == 0
    assert not scope.wants_merge()
    assert _nearest(scope, 17) == "n17"


def test_what_comes_and_goes_while_a_bulk_is_built_is_right_before_and_after() -> None:
    scope = _scope(400)
    scope.remove(5)
    merge = scope.begin()
    assert not scope.wants_merge()
    scope.remove(6)
    scope.add("new", unit(1000), 400)
    scope.add("gone again", unit(1001), 401)
    scope.remove(401)
    for when in ("before", "after"):
        if when == "after":
            scope.end(merge, merge.run())
        assert _nearest(scope, 7) == "n7"
        assert _nearest(scope, 1000) == "new"
        assert _nearest(scope, 5) not in {"n5", ""}
        assert _nearest(scope, 6) != "n6"
        assert _nearest(scope, 1001) != "gone again"
    assert len(scope) == 399
    _merge(scope)
    assert (scope.sealed, scope.dead) == (399, 0)


def test_a_failed_build_leaves_everything_as_it_was() -> None:
    scope = _scope(400)
    merge = scope.begin()
    scope.remove(6)
    scope.end(merge, None)
    assert _nearest(scope, 7) == "n7"
    assert _nearest(scope, 6) != "n6"
    assert scope.wants_merge()
    _merge(scope)
    assert scope.sealed == 399


def test_one_in_a_hundred_dead_is_worth_a_new_bulk() -> None:
    scope = _scope(1000)
    _merge(scope)
    for number in range(10):
        scope.remove(number)
    assert not scope.wants_merge()
    scope.remove(10)
    assert scope.wants_merge()


def test_neighbours_that_are_gone_do_not_hide_those_that_are_not() -> None:
    scope = _scope(1000)
    _merge(scope)
    near = [name for name, _ in scope.named(scope.search().run(unit(3), 12), 12)]
    for name in near[:8]:
        scope.remove(int(name[1:]))
    assert [n for n, _ in scope.named(scope.search().run(unit(3), 4), 4)] == near[8:12]


def test_a_small_scope_gives_back_what_the_dead_took() -> None:
    scope = _scope(200)
    full = scope.size
    for number in range(190):
        scope.remove(number)
    assert scope.size < full / 4
    assert _nearest(scope, 195) == "n195"
