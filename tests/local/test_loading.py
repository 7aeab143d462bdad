"""An app is imported without the collector, which is at work again when it serves."""

import subprocess
import sys

import pytest

from tests.patience import PATIENCE
from tests.running import REPOSITORY

APP = "import gc\nimport azure.functions as func\n\napp = func.FunctionApp()\nprint('imported', gc.isenabled(), flush=True)\n"
LOAD = """
import gc
import sys
from pathlib import Path
from local.invoke import find_app

try:
    find_app(Path(sys.argv[1]))
except ZeroDivisionError:
    print("failed")
print("later", gc.isenabled())
"""


@pytest.mark.parametrize(("more", "said"), [("", []), ("1 / 0\n", ["failed"])], ids=["in order", "failing"])
def test_the_collector_rests_while_an_app_is_imported_and_no_longer(tmp_path, more, said):
    (tmp_path / "function_app.py").write_text(APP + more)
    run = subprocess.run(
        [sys.executable, "-c", LOAD, str(tmp_path)], cwd=REPOSITORY, capture_output=True, text=True, check=True, timeout=PATIENCE
    )
    assert run.stdout.splitlines() == ["imported False", *said, "later True"]
