"""The process of a container: it becomes the modal wheel's own entry point.

It is forked from a process that has imported the libraries of the image, which takes seconds.
"""

from __future__ import annotations

import os
import runpy
import sys
from importlib import import_module
from multiprocessing import get_context
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

# Not `modal`, which reads the environment when it is imported.
LIBRARIES = [
    "torch",
    "transformers.models.kyutai_speech_to_text.modeling_kyutai_speech_to_text",
    "transformers.models.kyutai_speech_to_text.processing_kyutai_speech_to_text",
    "transformers.models.mimi.modeling_mimi",
    "modal_proto.api_pb2",
    "grpclib.client",
]


def import_libraries() -> None:
    """Waits until `start_process` can fork."""
    context = get_context("forkserver")
    context.set_forkserver_preload(LIBRARIES)
    process = context.Process(target=bool)
    process.start()
    process.join()


def start_process(root: Path, environment: dict[str, str], *, fork: bool) -> BaseProcess:
    """Starts it in `root / "root"` with these environment variables only.

    Not with `fork` if the libraries should read them when they are imported.
    """
    context: Any = get_context("forkserver" if fork else "spawn")
    process: BaseProcess = context.Process(target=_run, args=(str(root), environment), daemon=True)
    process.start()
    return process


def _run(root: str, environment: dict[str, str]) -> None:
    log = os.open(f"{root}/log", os.O_WRONLY | os.O_CREAT, 0o600)
    for stream in (sys.stdout, sys.stderr):
        os.dup2(log, stream.fileno())
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(f"{root}/root")
    _forget_checkout()
    sys.path[:0] = environment["PYTHONPATH"].split(os.pathsep)
    import_module("sitecustomize")
    sys.argv[:] = [""]
    runpy.run_module("modal._container_entrypoint", run_name="__main__", alter_sys=True)


def _forget_checkout() -> None:
    """A container has only the files that the deployment uploaded."""
    checkout = Path(__file__).resolve().parents[3]
    sys.path[:] = [path for path in sys.path if Path(path).resolve() != checkout]
    for name in [*sys.modules]:
        if name.partition(".")[0] in ("gpu", "sitecustomize"):
            del sys.modules[name]
