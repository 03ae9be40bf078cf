"""What a process that begins to serve is told once."""

import gc

from gateway.commands.tuning import tune_gc, tune_malloc


def test_what_start_made_is_out_of_the_collectors_sight() -> None:
    tune_malloc()
    before = gc.get_freeze_count()
    tune_gc()
    try:
        assert gc.get_freeze_count() > before
    finally:
        gc.unfreeze()
