"""In: a call that may hang. Out: its result, later; whoever waits for it can do other things meanwhile, or give it up.

An insert into a ClickHouse that accepts and does not answer blocks its thread until the client's timeout. The thread
that is a member of a consumer group must go on polling, and must hear that the process is told to stop.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import TypeVar

_Result = TypeVar("_Result")


def begin(operation: Callable[[], _Result]) -> Future[_Result]:
    """Run `operation` in a thread that does not keep the process from ending."""
    future: Future[_Result] = Future()

    def run() -> None:
        try:
            result = operation()
        except BaseException as error:  # noqa: BLE001 - raised again where the result is asked for
            future.set_exception(error)
        else:
            future.set_result(result)

    threading.Thread(target=run, name="sink-errand", daemon=True).start()
    return future
