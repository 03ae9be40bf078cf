"""The process that holds a local model: llama.cpp's own HTTP server on a free loopback port.

`process.py` runs it as a file of its own, so that nothing of the gateway is loaded here:

    python -I server.py MODEL_FILE ALIAS CONTEXT THREADS

The first line of standard input is the key that requests must carry. The end of standard input,
which comes with the parent's death, ends the process. It prints one line: `ready PORT` or
`failed REASON`.
"""

import os
import sys
from pathlib import Path
from threading import Thread
from typing import Any


def main(arguments: list[str]) -> None:
    """Load the model, say so, and serve until standard input ends."""
    key = sys.stdin.readline().strip()
    watch = Thread(target=_leave_with_parent, daemon=True)
    watch.start()
    os.nice(5)  # on a busy machine the gateway comes first
    with os.fdopen(os.dup(1), "w", encoding="utf-8") as parent:
        os.dup2(2, 1)  # whatever llama.cpp prints is swallowed with standard error
        try:
            server = _serve(key, *arguments)
        except (ImportError, OSError, RuntimeError, TypeError, ValueError) as error:
            reason = f"{type(error).__name__}: {error}".replace("\n", " ")[:500]
            parent.write(f"failed {reason}\n")
            return
        parent.write(f"ready {server.listening_address.rpartition(':')[2]}\n")
    watch.join()


def _serve(key: str, model_file: str, alias: str, context: str, threads: str) -> Any:  # noqa: ANN401 - xllamacpp has no types
    import xllamacpp  # noqa: PLC0415 - when it is missing, the parent is told

    if not Path(model_file).is_file():
        raise FileNotFoundError(model_file)
    params = xllamacpp.CommonParams()
    params.model.path = model_file
    params.model_alias = {alias}
    params.api_keys = [key]
    params.n_ctx = int(context)
    params.n_parallel = 1
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = int(threads)
    params.n_gpu_layers = 0
    params.cache_ram_mib = 0  # its own default keeps up to 8 GiB of past prompts
    params.endpoint_slots = params.ui = False
    params.cors_origins = ""
    return xllamacpp.Server(params)


def _leave_with_parent() -> None:
    while sys.stdin.readline():
        pass
    os._exit(0)


if __name__ == "__main__":
    main(sys.argv[1:])
