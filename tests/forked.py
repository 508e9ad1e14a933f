"""Code run in a process of its own that has torch from the start: Python started anew takes two
seconds to import it.
"""

import os
from pathlib import Path

from conftest import until

from gdlib.run.fork_server import ForkedKernel
from gdlib.run.kernel import kernel_environment

START = """
import contextlib, sys
sys.dont_write_bytecode = True  # a module that is changed twice a second looks unchanged
with open("out.txt", "w") as out, contextlib.redirect_stdout(out):
    try:
        exec(compile(open("code.txt").read(), "code.txt", "exec"))
    except Exception as error:
        print(f"{type(error).__name__}: {error}")
        sys.exit(1)
"""


def run_code(code: str, folder: Path, **environment: str) -> str:
    """What some code prints.

    Args:
        code: it imports gdlib from the folder, where the folder has it.
        folder: where it runs.
        environment: more variables, of those that gdlib reads.

    Raises:
        RuntimeError: the code raised an error; its words.
    """
    (folder / "code.txt").write_text(code)
    (folder / "start_code.py").write_text(START)
    variables = os.environ | kernel_environment() | {"GDLIB_THREADS": "1"} | environment
    process = ForkedKernel(["python", "-m", "start_code"], variables, folder)
    until(lambda: process.poll() is not None)
    said = (folder / "out.txt").read_text()
    if process.poll():
        raise RuntimeError(said)
    return said
