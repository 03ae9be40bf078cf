"""What a process that begins to serve is told once."""

import gc

from gateway.commands.tuning import YOUNG, tune_gc, tune_malloc


def test_what_start_made_is_out_of_the_collectors_sight() -> None:
    tune_malloc()
    before, thresholds = gc.get_freeze_count(), gc.get_threshold()
    tune_gc()
    try:
        assert gc.get_freeze_count() > before
        assert gc.get_threshold()[0] == YOUNG
    finally:
        gc.unfreeze()
        gc.set_threshold(*thresholds)
