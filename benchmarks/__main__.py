"""``python -m benchmarks``: every row, or some, as one table and a report.

::

    python -m benchmarks                              # everything
    python -m benchmarks --only "one text,size"       # some rows
    python -m benchmarks --quick                      # with the networks of `gdlib run`

Every row that is measured is kept (``--parts``), and the report is made of all rows that were
measured with the same machine, threads, rounds and versions: so they may be measured one at a time,
and ``--only ""`` measures nothing and writes the report.

The networks are the quick profile's; unless ``--quick`` is given they are trained for a short time
only, since their speed does not depend on how good they are.
"""

import argparse
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import torch

from benchmarks import ROWS, page, parts
from benchmarks.timing import Lines
from benchmarks.workbench import Workbench, set_threads
from gdlib.core.errors import GdlibError
from gdlib.core.settings import thread_count
from gdlib.core.store import Store
from gdlib.core.wording import counted, grid
from gdlib.run.provenance import machine, versions
from gdlib.studies.generation.settings import Settings

SHORT = {
    **{"teacher_epochs": 1, "teacher_least_steps": 0, "generator_epochs": 1},
    **{"generator_least_steps": 0, "num_samples": 128, "student_steps": 100},
}
"""Knobs of a training that is as short as it can be with the networks and texts of ``quick``."""


def measure(bench: Workbench, only: Sequence[str]) -> Iterator[tuple[str, Lines]]:
    """Some rows and their lines, one after the other; their ratios are on the screen at once, so
    that a run which is ended early has told something.

    Raises:
        UnknownName: no such row.
    """
    rows = {name: ROWS[name] for name in only}
    for place, (name, row) in enumerate(rows.items(), 1):
        start = time.perf_counter()
        found = row(bench)
        took = time.perf_counter() - start
        said = [f"{one['ours']} / {one['against']}: {one['ratio']:.2f}" for one in found]
        print(f"[{place}/{len(rows)}] {name} ({took:.0f} s)", *said, sep="\n  ", file=sys.stderr)
        yield name, found


def main(arguments: Sequence[str] | None = None) -> None:
    options = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    options.add_argument("--only", default=",".join(ROWS), help="rows, separated by commas")
    options.add_argument("--rounds", type=int, default=3, help="measurements of each contestant")
    options.add_argument("--threads", type=int, default=thread_count())
    options.add_argument("--out", type=Path, default=Path("reports/performance"))
    options.add_argument("--parts", type=Path, default=Path("runs/benchmarks"), help="kept rows")
    options.add_argument("--store", type=Path, default=Path("runs/store"), help="of the networks")
    options.add_argument("--quick", action="store_true", help="train as long as `gdlib run` does")
    given = options.parse_args(arguments)
    set_threads(given.threads)
    settings = Settings(**({} if given.quick else SHORT))
    bench = Workbench(settings, Store(given.store), given.rounds)
    try:
        used = {name: versions()[name] for name in ("python", "torch", "transformers")}
        elsewhere = counted(torch.get_num_threads(), "thread")
        about = (
            f"{machine()}, elsewhere {elsewhere}. Texts: {settings.corpus}; "
            f"networks: {settings.teacher}, {settings.generator}, {settings.students[0]}"
            f"{'' if given.quick else ', trained for a short time only'}; "
            f"{', '.join(map(' '.join, used.items()))}; rounds: {given.rounds}."
        )
        for name, lines in measure(bench, [row.strip() for row in given.only.split(",") if row]):
            parts.keep(given.parts, name, about, lines)
        lines, others = parts.joined(given.parts, about, ROWS)
        if others:
            print(f"left out, measured with something else: {', '.join(others)}", file=sys.stderr)
        table = page.table_of(lines)
        report = page.write(table, given.out, about, given.rounds)
    except GdlibError as error:
        raise SystemExit(f"benchmarks: {error}") from None
    print(grid(table))
    print(f"report: {report}", file=sys.stderr)


if __name__ == "__main__":
    main()
