"""Child processes, and what interrupts who looks after them."""

import subprocess
import sys

from tests.patience import PATIENCE
from tests.running import REPOSITORY

INTERRUPTED = """
import os, signal, sys
from local.processes import Child

interruptions, is_looking, is_over = 0, False, False

def interrupt(*_):
    global interruptions, is_looking
    if is_looking:
        interruptions, is_looking = interruptions + 1, False
        raise KeyboardInterrupt

signal.signal(signal.SIGTERM, interrupt)
child = Child("A child", [sys.executable, "-c", "input()"], environment=os.environ, output=None)
pest = f"import os, random, time\\nfor _ in range(400):\\n    os.kill({os.getpid()}, 15)\\n    time.sleep(random.uniform(0.001, 0.003))"
pestering = Child("A pest", [sys.executable, "-c", pest], environment=os.environ, output=None)
while not is_over:
    try:
        is_looking = True
        while not is_over:
            assert child.exit_code is None
            is_over = pestering.exit_code is not None
        is_looking = False
    except KeyboardInterrupt:
        pass
child.stop(grace=0.1)
print("stopped", interruptions > 10)
"""


def test_a_child_can_be_stopped_whenever_a_signal_came_before():
    done = subprocess.run([sys.executable, "-c", INTERRUPTED], cwd=REPOSITORY, capture_output=True, text=True, timeout=PATIENCE)
    assert done.stdout == "stopped True\n", done.stderr
