"""Takes Ctrl-C for oneself. GNU make dies of the SIGINT that a terminal sends to its whole foreground group."""

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def own_foreground() -> Iterator[None]:
    """Be the terminal's foreground process group, alone with one's children; give it back at the end.

    Without a terminal, or in the background, nothing changes. Ctrl-Z does nothing meanwhile: no shell would notice.
    """
    try:
        terminal = os.open("/dev/tty", os.O_RDWR | os.O_CLOEXEC)
    except OSError:
        yield
        return
    previous = os.tcgetpgrp(terminal)
    if previous != os.getpgrp():
        os.close(terminal)
        yield
        return
    # A group in the background that sets the foreground group is stopped by SIGTTOU, unless it ignores it.
    signals = {number: signal.signal(number, signal.SIG_IGN) for number in (signal.SIGTTOU, signal.SIGTSTP)}
    os.setpgid(0, 0)
    os.tcsetpgrp(terminal, os.getpgrp())
    try:
        yield
    finally:
        os.tcsetpgrp(terminal, previous)
        os.close(terminal)
        for number, handler in signals.items():
            signal.signal(number, handler)
