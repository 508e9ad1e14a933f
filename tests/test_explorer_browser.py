"""The explorer in a real JupyterLab, through a real browser."""

import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parent / "browser" / "explorer_in_lab.py"


@pytest.mark.slow
def test_the_explorer_in_jupyterlab(tmp_path):
    done = subprocess.run(
        [sys.executable, SCRIPT, "--shots", tmp_path],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=600,
    )
    if "skipped:" in done.stdout:
        pytest.skip(done.stdout.strip())
    assert done.returncode == 0 and "FAILED" not in done.stdout, done.stdout + done.stderr
