"""In: nothing. Out: this thread is let run soon after it wakes, where the kernel knows how.

Linux shares a busy processor out in turns of a few milliseconds, and who wakes up waits for the turns of others. Since
6.12 a thread may ask for shorter turns of its own (`sched_setattr`, `sched_runtime` of an ordinary thread): it gets no
more of the processor than before, but gets it earlier. It needs no right. A raised priority (`nice` below 0) would need
one, and is for whoever starts the process to give.
"""

from __future__ import annotations

import ctypes
import os
import platform
import sys
from typing import Final

#: The shortest turn that the kernel accepts.
TURN_NS: Final = 100_000
#: The number of sched_setattr, which the C library has no function for.
_CALLS: Final = {"x86_64": 314, "aarch64": 274}


class _Attributes(ctypes.Structure):
    """`struct sched_attr` in its first version: zeros are an ordinary thread of ordinary priority."""

    _fields_ = (
        ("size", ctypes.c_uint32),
        ("policy", ctypes.c_uint32),
        ("flags", ctypes.c_uint64),
        ("nice", ctypes.c_int32),
        ("priority", ctypes.c_uint32),
        ("runtime_ns", ctypes.c_uint64),
        ("deadline_ns", ctypes.c_uint64),
        ("period_ns", ctypes.c_uint64),
    )


def be_prompt() -> bool:
    """Ask for the shortest turns for the calling thread, and threads that it starts. Whether they were granted: not on
    other systems, older kernels, or where a sandbox forbids the call; all works without, later where the machine is
    busy.
    """
    number = _CALLS.get(platform.machine())
    if sys.platform != "linux" or number is None or os.sched_getscheduler(0) != os.SCHED_OTHER:
        return False
    wanted = _Attributes(size=ctypes.sizeof(_Attributes), nice=os.getpriority(os.PRIO_PROCESS, 0), runtime_ns=TURN_NS)
    failed: int = ctypes.CDLL(None).syscall(number, 0, ctypes.byref(wanted), 0)
    return failed == 0
