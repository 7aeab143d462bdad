"""Child processes, and what interrupts who looks after them."""

import subprocess
import sys

from tests.running import REPOSITORY

INTERRUPTED = """
import os, signal, sys
from local.processes import Child

signal.signal(signal.SIGTERM, signal.default_int_handler)
child = Child("A child", [sys.executable, "-c", "input()"], environment=os.environ, output=None)
pest = f"import os, random, time\\nfor _ in range(400):\\n    os.kill({os.getpid()}, 15)\\n    time.sleep(random.uniform(0.001, 0.003))"
pestering = Child("A pest", [sys.executable, "-c", pest], environment=os.environ, output=None)
interruptions = 0
is_over = False
while not is_over:
    try:
        while not is_over:
            assert child.exit_code is None
            is_over = pestering.exit_code is not None
    except KeyboardInterrupt:
        interruptions += 1
signal.signal(signal.SIGTERM, signal.SIG_IGN)
child.stop(grace=0.1)
print("stopped", interruptions > 10)
"""


def test_a_child_can_be_stopped_whenever_a_signal_came_before():
    done = subprocess.run([sys.executable, "-c", INTERRUPTED], cwd=REPOSITORY, capture_output=True, text=True, timeout=60)
    assert done.stdout == "stopped True\n", done.stderr
