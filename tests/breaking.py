"""Break runs of study 1 on tiny networks in every stage, and see that each goes on to the very
bytes of a run that nothing disturbed.

    OMP_NUM_THREADS=1 python tests/breaking.py [--only WHAT ...] [--table FILE]

- ``kills``: a stage's notebook, executed in a fork, is killed (SIGKILL) at moments spread evenly
  over its time; teacher, generator and students also between two checkpoints, five times each.
- ``damaged``: files of every kind of artifact in turn are cut, emptied, changed in a byte, removed.
- ``disks``: every stage on a disk that is too small, two sizes each; needs the right to mount.
- ``run``: ``gdlib run`` itself, killed with its process group in every stage; what it started has
  to be gone within five seconds.
- ``filled``: ``gdlib run`` on a disk that is too small for each stage in turn.
- ``together``: two and four runs in one folder.
- ``real``: the stages that train, write or compare, each killed once, on the networks of ``quick``.
- ``ray``: ``gdlib run`` on a Ray cluster of a head and two nodes in this machine: workers killed in
  two stages, the run goes on by itself; then the head, and the run says so in a line.

The first thing that goes wrong ends the harness with what was said; its folder is kept. At the end
it prints its counts.
"""

import argparse
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cached_property, partial
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import psutil
from disturbed import (
    STAGES,
    WAIT,
    Project,
    copy_of,
    elapsed,
    networks,
    one_line,
    size_of,
    still,
)

KILLS_A_STAGE, KILLS_A_TRAINING, DAMAGED = 4, 5, 30
ENDED_WITHIN = 5  # seconds after a kill in which everything that a run started is gone
FULL = "No space left|disk is full"


class Trials:
    """All kinds of trials, and what they start from: undisturbed stages, an undisturbed run.

    Args:
        parent: a folder for all projects.
        seed: of the moments and the files that are drawn.
        real: take the networks and the corpus of ``quick`` instead of tiny ones.
    """

    def __init__(self, parent: Path, seed: int, real: bool = False):
        self.parent, self.random = parent, np.random.default_rng(seed)
        self.networks = None if real else networks(parent / "networks")
        self.counts = Counter()

    @cached_property
    def stages(self) -> SimpleNamespace:
        """Of the undisturbed stages: what there is before each and after it, sizes, seconds."""
        found = SimpleNamespace(before={}, after={}, size={}, seconds={})
        project = self.project("undisturbed")
        for stage in STAGES:
            found.before[stage] = copy_of(project, self.parent / f"before-{stage}")
            start = time.monotonic()
            project.must_fork(stage, "undisturbed")
            found.seconds[stage] = time.monotonic() - start
            found.after[stage] = project.lasting()
            found.size[stage] = size_of(project.runs)
        found.whole = copy_of(project, self.parent / "whole")
        shown = ", ".join(f"{stage} {spent:.1f} s" for stage, spent in found.seconds.items())
        self.say(f"undisturbed, in a fork: {shown}")
        return found

    def say(self, line: str) -> None:
        print(f"{time.strftime('%H:%M:%S')} {line}", flush=True)

    def project(self, label: str, state: Path | None = None, folder: Path | None = None) -> Project:
        """A new project, perhaps in a state of the undisturbed one."""
        made = Project(folder or self.parent / label, self.networks, self.parent / f"logs-{label}")
        if state:
            shutil.copytree(state, made.runs, dirs_exist_ok=True)
        return made

    def same(self, project: Project, stage: str, what: str) -> None:
        """What a fork left is what the undisturbed fork left, byte for byte."""
        self._compared(project, self.stages.after[stage], what)

    def same_run(self, project: Project, what: str) -> None:
        """What ``gdlib run`` left, its report too, is what an undisturbed one left."""
        self._compared(project, self.undisturbed_run, what)

    def _compared(self, project: Project, expected: dict[str, str], what: str) -> None:
        found = project.lasting()
        if found != expected:
            names = sorted({n for n in {*found, *expected} if found.get(n) != expected.get(n)})
            raise SystemExit(f"{what}: {project.folder} is not as undisturbed in {names}")

    @cached_property
    def undisturbed_run(self) -> dict[str, str]:
        """What lasts of ``gdlib run`` if nothing disturbs it."""
        project, start = self.project("run-undisturbed"), time.monotonic()
        project.must("gdlib run")
        found = project.lasting()
        reported = sum("/report/" in name for name in found)
        self.say(
            f"gdlib run, undisturbed: {elapsed(start)}, {len(found)} files, {reported} reported"
        )
        assert reported > 30
        return found

    # ---- kills

    def kills(self) -> None:
        """Every stage, and every training between its checkpoints; each goes on after each kill."""
        for stage in STAGES:
            for part in range(KILLS_A_STAGE):
                share = (part + self.random.uniform(0.2, 0.8)) / KILLS_A_STAGE
                self._killed_once(f"killed-{stage}-{part}", stage, share)
            self.counts["SIGKILL in the stage", stage] = KILLS_A_STAGE
            self.say(f"{stage}: killed {KILLS_A_STAGE} times, each time the same bytes in the end")
        for stage in ("teacher", "generator"):
            project, kind = (
                self.project(f"cut-{stage}", self.stages.before[stage]),
                f"trained-{stage}",
            )
            for step in np.linspace(3, 51, KILLS_A_TRAINING, dtype=int).tolist():
                reached = partial(self._trained, project, kind, step)
                if not self._killed_in_fork(project, stage, reached) or not project.step(kind):
                    raise SystemExit(f"{stage}: trained before it could be killed at step {step}")
                self.counts["SIGKILL between checkpoints", stage] += 1
            project.must_fork(stage, f"after kills between checkpoints of {stage}")
            self.same(project, stage, f"after kills between checkpoints of {stage}")
            self.say(
                f"{stage}: killed {KILLS_A_TRAINING} times between checkpoints, the same bytes"
            )
        project = self.project("cut-students", self.stages.before["students"])
        for number in range(KILLS_A_TRAINING):
            if not self._killed_in_fork(
                project, "students", partial(self._student, project, number)
            ):
                raise SystemExit(f"students: trained before student {number} could be killed")
            self.counts["SIGKILL between checkpoints", "students"] += 1
        project.must_fork("students", "after kills in the middle of students")
        self.same(project, "students", "after kills in the middle of students")
        self.say(
            f"students: killed {KILLS_A_TRAINING} times in a student's training, the same bytes"
        )

    def _killed_once(self, label: str, stage: str, share: float) -> None:
        """Kill a stage after a share of its time, and let it go on to the same bytes."""
        project, start = self.project(label, self.stages.before[stage]), time.monotonic()
        while not self._killed_in_fork(project, stage, self._after(share, stage)):
            self.stages.seconds[stage] = time.monotonic() - start  # it was faster this time
            shutil.rmtree(project.runs)
            shutil.copytree(self.stages.before[stage], project.runs)
            start = time.monotonic()
        project.must_fork(stage, f"after a kill in {stage}")
        self.same(project, stage, f"after a kill in {stage}")

    def real(self) -> None:
        """Every stage but the first killed once on the networks of ``quick``."""
        trials = Trials(self.parent / "real", int(self.random.integers(2**31)), real=True)
        for stage in STAGES[1:]:
            trials._killed_once(f"killed-{stage}", stage, self.random.uniform(0.2, 0.8))
            self.counts["SIGKILL in the stage, networks of quick", stage] += 1
            self.say(f"{stage}: killed once on the networks of quick, the same bytes in the end")

    def _killed_in_fork(self, project: Project, stage: str, reached: Callable[[], bool]) -> bool:
        """Start a stage and kill it once something is reached; whether it was still at work."""
        process, deadline = project.fork(stage), time.monotonic() + WAIT
        while not reached() and process.is_alive():
            if time.monotonic() > deadline:
                raise SystemExit(f"a run hangs in {stage}\n{project.words()}")
            time.sleep(0.002)
        process.kill()
        process.join()
        if process.exitcode in (1, 2):
            raise SystemExit(f"{stage} failed before it was killed\n{project.words()}")
        return process.exitcode == -signal.SIGKILL

    def _after(self, share: float, stage: str) -> Callable[[], bool]:
        start = time.monotonic()
        return lambda: time.monotonic() - start >= share * self.stages.seconds[stage]

    def _trained(self, project: Project, kind: str, step: int) -> bool:
        return project.step(kind) >= step

    def _student(self, project: Project, number: int) -> bool:
        """Whether so many students are done and the next is being trained."""
        done = len([*project.store.glob("trained-student/*")])
        return done >= number and self._after_pause(project.making("trained-student"))

    def _after_pause(self, reached: bool) -> bool:
        if reached:
            time.sleep(self.random.uniform(0, 0.2))
        return reached

    # ---- damaged files

    def damaged(self, a_time: int = 10) -> None:
        """Damage files of a finished run, and execute all stages again on what is left."""
        store, drawn = self.stages.whole / "store", list[Path]()
        kinds = [path for path in sorted(store.iterdir()) if path.name not in ("locks", "work")]
        while len(drawn) < DAMAGED:
            for kind in kinds:
                files = [p for p in sorted(kind.rglob("*")) if p.is_file() and p not in drawn]
                drawn += files and [files[int(self.random.integers(len(files)))]]
        for place in range(0, DAMAGED, a_time):
            project, ways = self.project(f"damaged-{place}", self.stages.whole), Counter()
            for path in drawn[place : min(place + a_time, DAMAGED)]:
                way = ("cut", "emptied", "a byte changed", "gone")[int(self.random.integers(4))]
                damage(project.store / path.relative_to(store), way, self.random)
                ways[way] += 1
                self.counts["damaged file", path.relative_to(store).parts[0]] += 1
            for stage in STAGES:
                project.must_fork(stage, f"after damaged files in {project.folder}")
            self.same(project, STAGES[-1], "after damaged files")
            self.say(f"{ways.total()} damaged files, {dict(ways)}: made again, the same bytes")

    # ---- full disks

    def disks(self) -> None:
        """Every stage on a disk that has room for a part of what it writes, then for all."""
        for stage in STAGES:
            with small_disk(self.parent / f"disk-{stage}") as (folder, resize):
                project = self.project(
                    f"full-{stage}", self.stages.before[stage], folder / "project"
                )
                used = shutil.disk_usage(folder).used
                grows = self.stages.size[stage] - size_of(self.stages.before[stage])
                for share in (0.02, 0.5):
                    resize(used + int(share * grows))
                    process = project.fork(stage)
                    process.join(WAIT)
                    if process.exitcode != 2 or not one_line(project.words(), FULL):
                        raise SystemExit(
                            f"a full disk ended {stage} with {process.exitcode}\n{project.words()}"
                        )
                    self.counts["full disk", stage] += 1
                resize(2**30)
                project.must_fork(stage, f"after a full disk in {stage}")
                self.same(project, stage, f"after a full disk in {stage}")
            self.say(f"{stage}: {self.counts['full disk', stage]} full disks, a line each, went on")

    # ---- the command line

    def run(self) -> None:
        """``gdlib run`` killed in every stage and in its report."""
        project = self.project("run")
        for stage in (*STAGES, "report"):
            reached = partial(self._at_work, project, stage)
            killed, started = self._killed_run(project, reached)
            if not killed:
                raise SystemExit(f"gdlib run ended before {stage}\n{project.words()}")
            self.counts["SIGKILL of gdlib run's group", stage] += 1
            self.say(f"gdlib run: killed in {stage}, {started} processes gone within 5 s")
        project.must("gdlib run after kills")
        self.same_run(project, "gdlib run after kills")
        self.say("gdlib run: after all kills the same bytes")

    def filled(self) -> None:
        """``gdlib run`` on a disk that fills up in every stage."""
        with small_disk(self.parent / "disk") as (folder, resize):
            project, sizes = self.project("full", folder=folder / "project"), [0]
            sizes += [self.stages.size[stage] for stage in STAGES]
            for place, stage in enumerate(STAGES):
                # receipts with executed notebooks take as much again
                resize(shutil.disk_usage(folder).used + (sizes[place + 1] - sizes[place]) // 2)
                status = project.start().wait(WAIT)
                if not status or not one_line(project.words(), FULL):
                    raise SystemExit(f"a full disk ended {stage} with {status}\n{project.words()}")
                at = f"\n{project.words()}".count("\n[")  # the lines of the stages before
                self.counts["full disk under gdlib run", STAGES[min(at, 5)]] += 1
                resize(2**30)
                self._through(project, stage)
            project.must("gdlib run after full disks")
            self.same_run(project, "gdlib run after full disks")
        self.say("gdlib run: a full disk in every stage, a line each, then the same bytes")

    def _through(self, project: Project, stage: str) -> None:
        status = project.start(more=("--only", stage)).wait(WAIT)
        if status:
            raise SystemExit(f"with room again {stage} ended with {status}\n{project.words()}")

    def _at_work(self, project: Project, stage: str) -> bool:
        """Whether a run is in a stage, some time after its kernel has begun to make artifacts."""
        if stage == "report":
            return self._after_pause(project.report.exists())
        made = {p.name.rpartition("-")[0] for p in project.store.glob(f"locks/*-{stage}-*.lock")}
        if not made:
            return False
        time.sleep(self.random.uniform(0, 2))  # its kernel starts, computes, writes
        return True

    def _killed_run(self, project: Project, reached: Callable[[], bool]) -> tuple[bool, int]:
        process, deadline = project.start(), time.monotonic() + WAIT
        while not reached() and process.poll() is None:
            if time.monotonic() > deadline:
                raise SystemExit(f"gdlib run hangs\n{project.words()}")
            time.sleep(0.02)
        if process.poll() is not None:
            return False, 0
        started = psutil.Process(process.pid).children(recursive=True)
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        _, alive = psutil.wait_procs(started, timeout=ENDED_WITHIN)
        # what nobody has collected yet has ended too
        if alive := [p for p in alive if p.is_running() and p.status() != psutil.STATUS_ZOMBIE]:
            raise SystemExit(f"{ENDED_WITHIN} s after gdlib run was killed there is still {alive}")
        return True, len(started)

    # ---- several at once

    def together(self) -> None:
        """Two and four runs in one folder."""
        for number in (2, 4):
            project, start = self.project(f"together-{number}"), time.monotonic()
            started = [project.start(f"log-{place}") for place in range(number)]
            statuses = [process.wait(WAIT) for process in started]
            logs = "\n".join(project.words(f"log-{place}") for place in range(number))
            if any(statuses) or "Traceback" in logs:
                raise SystemExit(f"{number} runs at once ended with {statuses}\n{logs}")
            self.same_run(project, f"{number} runs at once")
            self.counts["runs in one folder at once", ""] += number
            self.say(f"{number} runs at once: each to its end, {elapsed(start)}")

    # ---- on a cluster

    def ray(self) -> None:
        """Workers of a cluster killed, which the run survives; then its head."""
        with cluster() as address:
            project = self.project("ray")
            process = project.start(more=("--engine", "ray", "--ray-address", address))
            for stage in ("generator", "students"):
                self._until(project, process, partial(self._at_work, project, stage))
                self._kill_worker(stage)
                self.counts["SIGKILL of a Ray worker", stage] += 1
            if status := process.wait(WAIT):
                raise SystemExit(f"a killed worker ended the run: {status}\n{project.words()}")
            project.must("its report without Ray")  # which names the command that wrote it
            self.same_run(project, "a run whose Ray workers were killed")
        self.say("ray: a worker killed in two stages, the run went on to the same bytes")
        project = self.project("headless")
        with cluster() as address:
            process = project.start(more=("--engine", "ray", "--ray-address", address))
            self._until(project, process, partial(self._at_work, project, "samples"))
            for one in psutil.Process().children(recursive=True):
                if one.name() in ("gcs_server", "raylet"):  # the head's were started first
                    one.kill()
                    if one.name() == "raylet":
                        break
            start = time.monotonic()
            if process.wait(WAIT) != 2 or not one_line(project.words(), "Ray cluster"):
                raise SystemExit(f"without Ray's head: {process.returncode}\n{project.words()}")
        self.counts["SIGKILL of Ray's head: one line", "samples"] += 1
        self.say(f"ray: the head killed, a line after {elapsed(start)}")
        with cluster() as address:
            project.must("a new cluster", more=("--engine", "ray", "--ray-address", address))
        project.must("its report without Ray")
        self.same_run(project, "a run whose Ray cluster was lost")
        self.say("ray: on a new cluster the run went on to the same bytes")

    def _until(self, project: Project, process: subprocess.Popen, seen: Callable) -> None:
        while not seen():
            if process.poll() is not None:
                raise SystemExit(f"ended too early: {process.returncode}\n{project.words()}")
            time.sleep(0.02)

    def _kill_worker(self, stage: str) -> None:
        workers = psutil.Process().children(recursive=True)
        found = [p for p in workers if p.cmdline()[:1] and p.cmdline()[0].endswith(f"/{stage}")]
        if len(found) != 1:
            raise SystemExit(f"{stage}: {len(found)} workers were at it, not one")
        found[0].kill()


@contextmanager
def cluster(attempts: int = 5) -> Iterator[str]:
    """The address of a Ray cluster: a head without processors, two nodes of one processor each.

    Ray gives a node half a minute to come up, which on a busy machine takes several attempts.
    """
    from ray.cluster_utils import Cluster

    nodes = ({"num_cpus": 0, "include_dashboard": False}, {"num_cpus": 1}, {"num_cpus": 1})
    for attempt in range(attempts):
        made = Cluster()
        try:
            for node in nodes:
                made.add_node(**node)
            break
        except Exception as error:  # Ray's own class for it is this one
            for process in psutil.Process().children(recursive=True):
                process.kill()
            if "timed out during startup" not in str(error) or attempt + 1 == attempts:
                raise
    try:
        yield made.address
    finally:
        made.shutdown()


def damage(path: Path, way: str, random: np.random.Generator) -> None:
    """Cut a file, empty it, change a byte of it, or take it away."""
    content = bytearray(path.read_bytes())
    path.unlink()
    if way != "gone":
        if content:
            content[int(random.integers(len(content)))] ^= 0xFF
        kept = {"cut": len(content) // 2, "emptied": 0}.get(way, len(content))
        path.write_bytes(content[:kept])


@contextmanager
def small_disk(folder: Path) -> Iterator[tuple[Path, Callable[[int], None]]]:
    """A disk in memory, at first of a gigabyte, and what gives it another size in bytes."""
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=1g", "tmpfs", str(folder)]
    subprocess.run(mount, check=True)
    try:

        def resize(size: int) -> None:
            subprocess.run(["mount", "-o", f"remount,size={size}", str(folder)], check=True)

        yield folder, resize
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=False)


def table(counts: Counter) -> str:
    """The counts as a table in Markdown."""
    rows = [
        "| what was done | where | times | all went on to the same bytes |",
        "|---|---|---:|---|",
    ]
    rows += [f"| {what} | {where} | {n} | yes |" for (what, where), n in counts.items()]
    return "\n".join(rows)


def main() -> None:
    kinds = ("kills", "damaged", "disks", "run", "filled", "together", "real", "ray")
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", nargs="*", default=kinds, choices=kinds)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--table", type=Path, help="a file that the counts are written to")
    given = parser.parse_args()
    still()
    parent = Path(tempfile.mkdtemp(prefix="breaking-"))
    trials = Trials(parent, given.seed)
    for kind in given.only:
        getattr(trials, kind)()
        if given.table:
            given.table.write_text(f"{table(trials.counts)}\n")
    print(table(trials.counts), flush=True)
    shutil.rmtree(parent, ignore_errors=True)


if __name__ == "__main__":
    main()
