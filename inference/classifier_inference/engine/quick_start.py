"""What makes a server's start shorter: a third of it is looking for garbage, and importing what nobody looks at.

The figures are in docs/decisions/0047-quick-start.md.
"""

import gc
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import TypeVar

from classifier_inference.engine.imports import leave_out

ResultT = TypeVar("ResultT")


def begin_start() -> None:
    """Leave garbage alone while modules are imported, and Rich out: structlog would take it in for coloured logs."""
    gc.disable()
    leave_out("rich")


def finish_start() -> None:
    """Look for garbage from now on, among what is made from now on."""
    gc.freeze()
    gc.enable()


def begin(work: Callable[[], ResultT]) -> Future[ResultT]:
    """Return what `work` will return or raise, from a daemon thread: a long load must not hold back the process's end.

    Whoever has called this should end the process without tearing the interpreter down: a load that is under way can't
    be stopped, and ONNX Runtime aborts when it is run over.
    """
    future: Future[ResultT] = Future()
    future.set_running_or_notify_cancel()

    def run() -> None:
        try:
            future.set_result(work())
        except BaseException as error:  # noqa: BLE001 - handed to whoever waits
            future.set_exception(error)

    threading.Thread(target=run, name="load", daemon=True).start()
    return future
