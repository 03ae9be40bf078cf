"""Label values are bounded."""

from gateway.telemetry.names import CAP, Names


def test_the_first_names_are_themselves_and_all_later_ones_are_other() -> None:
    names = Names()
    for number in range(CAP):
        assert names[str(number)] == str(number)
    assert names["one more"] == "other"
    assert names["0"] == "0"
    assert len(names) == CAP
