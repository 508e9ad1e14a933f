"""The pipeline on a tiny study with real notebooks: what is up to date, what runs again, failing,
killed, side by side.
"""

import io
import json
import os
import re
import shutil
import signal
import time
from pathlib import Path
from types import ModuleType

import nbformat
import psutil
import pytest
from conftest import START, ended, executed, kernel_of, make_project, patch, start, until

from gdlib.core import code as code_module
from gdlib.core.errors import BadSetting, GdlibError, UnknownName
from gdlib.core.plans import expand, slug
from gdlib.core.settings import replace, thread_count
from gdlib.run import live
from gdlib.run.engines import LocalEngine
from gdlib.run.inputs import folder_digest, folder_digests
from gdlib.run.jobs import StageFailed, finished
from gdlib.run.live import LiveLine, duration
from gdlib.run.pipeline import Run, settings_of
from gdlib.run.progress import expected_seconds, numbers_line

FIRST, SECOND, LAST = (f"notebooks/tiny/{name}.ipynb" for name in ("1_first", "2_second", "3_last"))


def make_run(root: Path, study: ModuleType, lines: list[str] | None = None, **knobs) -> Run:
    said = lines if lines is not None else []
    return Run(
        study.PLAN,
        study.Settings(**knobs),
        "quick",
        root,
        command="gdlib run --set a=b",
        say=said.append,
    )


def stale(run: Run) -> list[str]:
    """The stages that the run would execute."""
    return [job.stage.name for job in run.jobs().values() if not finished(job)]


@pytest.fixture(scope="module")
def _executed_once(
    tmp_path_factory: pytest.TempPathFactory, tiny: ModuleType
) -> tuple[Path, list[str]]:
    root, lines = make_project(tmp_path_factory.mktemp("executed")), []
    with pytest.MonkeyPatch.context() as monkeypatch:
        patch(tiny, monkeypatch.setattr)
        make_run(root, tiny, lines, number=7).execute()
    return root, lines


@pytest.fixture
def finished_project(
    tmp_path: Path,
    _executed_once: tuple[Path, list[str]],
    tiny: ModuleType,
    monkeypatch: pytest.MonkeyPatch,
) -> Path:
    """A project whose three stages were executed with ``number=7``; the test's own copy."""
    patch(tiny, monkeypatch.setattr)
    return shutil.copytree(_executed_once[0], tmp_path / "project")


def edit(root: Path, notebook: str, cell: int, source: str) -> None:
    content = nbformat.read(root / notebook, 4)
    content.cells[cell].source = source
    nbformat.write(content, root / notebook)


# ---- what a run says and leaves


def test_a_line_a_stage_then_the_report(_executed_once: tuple[Path, list[str]]) -> None:
    root, lines = _executed_once
    assert executed(root) == ["first 0", "second 0", "last 0"]
    assert re.fullmatch(
        r"\[1/3\] first      roses-l10-s0       \d+ (s|min) +value 7 points", lines[0]
    )
    assert re.fullmatch(
        r"\[2/3\] second     roses-l10-s0       \d+ (s|min) +value 14 points", lines[1]
    )
    assert re.fullmatch(
        r"\[3/3\] last       roses              \d+ (s|min) +value 14 points", lines[2]
    )
    assert re.fullmatch(r"3 stages, 3 of them executed now, in \d+ (s|min)", lines[3])
    assert lines[4].endswith("runs/tiny/quick/report/report.html")
    assert (
        root / "runs/tiny/quick/report/report.html"
    ).read_text() == "Tiny: 3 tasks of quick by gdlib run --set a=b"
    copy = nbformat.read(root / "runs/tiny/quick/roses-l10-s0/first.ipynb", 4)
    assert "first is at work" in str(copy.cells[-1].outputs)
    injected = next(
        cell.source for cell in copy.cells if "injected-parameters" in cell.metadata.get("tags", [])
    )
    assert "number = 7" in injected.splitlines()
    assert (root / "executed.log").read_text().split("\n")[0].split()[-1] == str(thread_count())


def test_up_to_date_executes_nothing_and_restores_the_executed_copies(
    finished_project: Path, tiny: ModuleType
) -> None:
    copy = finished_project / "runs/tiny/quick/roses-l10-s0/second.ipynb"
    content = copy.read_bytes()
    copy.unlink()
    lines: list[str] = []
    make_run(finished_project, tiny, lines, number=7).execute()
    assert lines[1] == "[2/3] second     roses-l10-s0       up to date  value 14 points"
    assert len(executed(finished_project)) == 3
    assert copy.read_bytes() == content


# ---- what makes a stage out of date


def test_nothing_moved(finished_project: Path, tiny: ModuleType) -> None:
    assert stale(make_run(finished_project, tiny, number=7)) == []


def test_a_parameter_moved_reaches_its_stage_and_what_comes_after(
    finished_project: Path, tiny: ModuleType
) -> None:
    assert stale(make_run(finished_project, tiny, number=7, factor=3.0)) == ["second", "last"]
    assert stale(make_run(finished_project, tiny, number=8)) == ["first", "second", "last"]


def test_code_of_a_notebook_moved(finished_project: Path, tiny: ModuleType) -> None:
    edit(finished_project, SECOND, 3, 'tinystudy.leave(store, "second", settings, 5)')
    assert stale(make_run(finished_project, tiny, number=7)) == ["second", "last"]


def test_prose_comments_and_outputs_of_a_notebook_do_not_count(
    finished_project: Path, tiny: ModuleType
) -> None:
    edit(finished_project, FIRST, 0, "Better prose.")
    content = nbformat.read(finished_project / FIRST, 4)
    content.cells[3].source = "# better said\n" + content.cells[3].source
    content.cells[3].outputs = [nbformat.v4.new_output("stream", text="7")]
    content.cells[3].execution_count = 4
    nbformat.write(content, finished_project / FIRST)
    assert stale(make_run(finished_project, tiny, number=7)) == []


def test_code_of_the_library_moved(
    finished_project: Path, tiny: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = code_module._read_code
    changed = lambda module: (  # noqa: E731
        ("other code", read(module)[1]) if module == "gdlib.core.errors" else read(module)
    )
    monkeypatch.setattr(
        code_module, "_read_code", changed
    )  # imported by gdlib.core.settings, which the notebooks import
    assert stale(make_run(finished_project, tiny, number=7)) == ["first", "second", "last"]


def test_folders_are_found_in_lists_and_before_a_column(tmp_path: Path) -> None:
    for name in ("sick", "cola"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "train.csv").write_text(name)
    values = {
        "tasks": ["sick:relatedness", "cola", "word-in-context"],
        "corpus": "sick",
        "encoder": "hub:cola",
        "seeds": [0, 1],
        "size": 3,
    }
    found = folder_digests(tmp_path, values)
    sick, cola = (folder_digest(tmp_path / name) for name in ("sick", "cola"))
    assert found == {"tasks": {"sick": sick, "cola": cola}, "corpus": {"sick": sick}}
    (tmp_path / "cola" / "train.csv").write_text("changed")
    assert folder_digests(tmp_path, values)["tasks"]["cola"] != cola


def test_a_folder_counts_by_its_content(finished_project: Path, tiny: ModuleType) -> None:
    folder = finished_project / "texts"
    folder.mkdir()
    (folder / "train.csv").write_text("text,label\n")
    key = lambda: next(iter(make_run(finished_project, tiny, corpus="texts").jobs().values())).key  # noqa: E731
    before = key()
    os.utime(folder / "train.csv", (1, 1))
    assert key() == before
    (folder / "train.csv").write_text("text,label\na,b\n")
    assert key() != before


def test_damaged_products_are_made_again(
    finished_project: Path, tiny: ModuleType, capsys: pytest.CaptureFixture[str]
) -> None:
    run = make_run(finished_project, tiny, number=7)
    job = next(job for job in run.jobs().values() if job.stage.name == "second")
    (run.open_store().folder("products", job.products) / "products.json").write_text("{}")
    assert stale(run) == ["second"]
    assert "products.json is damaged" in capsys.readouterr().err
    run.execute()
    assert executed(finished_project)[3:] == ["second 0"]
    assert stale(run) == []


def test_products_of_another_receipt_do_not_count(finished_project: Path, tiny: ModuleType) -> None:
    """Code changed, executed, changed back: the first receipt is there, but the products are the
    second's.
    """
    run = make_run(finished_project, tiny, number=7)
    job = next(job for job in run.jobs().values() if job.stage.name == "last")
    run.open_store().make(
        "products",
        job.products,
        lambda folder: (folder / "products.json").write_text("{}"),
        again=True,
    )
    assert stale(run) == ["last"]


# ---- only and force


def test_only_takes_what_the_stage_needs_and_force_executes_just_it(
    finished_project: Path, tiny: ModuleType, caplog: pytest.LogCaptureFixture
) -> None:
    run = make_run(finished_project, tiny, number=7)
    assert [job.stage.name for job in run.jobs(only=["second"]).values()] == ["first", "second"]
    assert [bool(job.again) for job in run.jobs(only=["second"], force=True).values()] == [
        False,
        True,
    ]
    assert len({job.again for job in run.jobs(force=True).values()}) == 1, "all from one time on"
    assert run.execute(only=["second"], force=True) is None
    assert executed(finished_project)[3:] == ["second 0"]
    assert "unknown parameter" not in caplog.text, "a knob of an earlier stage is no surprise"
    with pytest.raises(UnknownName, match=r'unknown stage "third"; known: first, second, last'):
        run.jobs(only=["third"])


def test_force_has_the_artifacts_of_its_stage_made_again_and_of_no_other(
    finished_project: Path, tiny: ModuleType
) -> None:
    for notebook in (FIRST, SECOND):
        source = nbformat.read(finished_project / notebook, 4).cells[2].source
        log = 'open("again.log", "a").write(os.environ.get("GDLIB_AGAIN", "none") + "\\n")'
        edit(finished_project, notebook, 2, f"import os\n{source}\n{log}")
    run, before = make_run(finished_project, tiny, number=7), time.time()
    run.execute(only=["second"], force=True)
    first, second = (finished_project / "again.log").read_text().splitlines()
    assert first == "none", "executed since its code has changed"
    assert second.startswith("second:")
    assert before <= float(second.removeprefix("second:")) <= time.time()


def test_the_report_needs_every_stage(project: Path, tiny: ModuleType) -> None:
    with pytest.raises(
        GdlibError,
        match=(
            r"3 of 3 stages are not up to date: roses-l10-s0/first, .*; first: gdlib run --set "
            r"a=b"
        ),
    ):
        make_run(project, tiny).report()


# ---- failing


def test_a_failing_cell_is_shown_with_its_error(finished_project: Path, tiny: ModuleType) -> None:
    edit(finished_project, SECOND, 2, "half = 1\nhalf / 0")
    partial = finished_project / "runs/tiny/quick/roses-l10-s0/second.failed.ipynb"
    run = make_run(finished_project, tiny, number=7)
    with pytest.raises(StageFailed) as failure:
        run.execute()
    trace = partial.with_suffix(".txt")
    assert str(failure.value) == (
        "second failed (roses-l10-s0) in notebooks/tiny/2_second.ipynb, cell [3]: "
        f"ZeroDivisionError: division by zero; executed so far: {partial}; the traceback: {trace}"
    )
    assert trace.read_text().startswith("half = 1\nhalf / 0\n\n")
    assert trace.read_text().rstrip().endswith("ZeroDivisionError: division by zero")
    assert "\x1b" not in trace.read_text()
    assert "ZeroDivisionError" in partial.read_text()
    assert stale(run) == ["second", "last"]


def test_an_error_of_several_lines_is_one_and_its_files_go_when_the_stage_is_done(
    finished_project: Path, tiny: ModuleType
) -> None:
    edit(finished_project, SECOND, 2, "raise RuntimeError('\\nbad: \\x1b[31m\\nmore')")
    run = make_run(finished_project, tiny, number=7)
    with pytest.raises(StageFailed, match=r"^second failed .*: RuntimeError: bad: .*\.txt$"):
        run.execute()
    folder = finished_project / "runs/tiny/quick/roses-l10-s0"
    assert len(list(folder.glob("*.failed.*"))) == 2
    edit(finished_project, SECOND, 2, START)
    run.execute()
    assert not list(folder.glob("*.failed.*"))


def test_an_error_of_the_user_is_one_line(project: Path, tiny: ModuleType) -> None:
    edit(
        project,
        FIRST,
        2,
        (
            "from gdlib.core.errors import unknown\nraise unknown('corpus', 'rose', ['roses', "
            "'tulips'])"
        ),
    )
    message = r'^unknown corpus "rose"; did you mean "roses"\? known: roses, tulips$'
    with pytest.raises(UnknownName, match=message):
        make_run(project, tiny).execute()


def test_a_kernel_that_is_killed_is_said(project: Path, tiny: ModuleType) -> None:
    edit(project, FIRST, 2, "import os, signal\nos.kill(os.getpid(), signal.SIGKILL)")
    with pytest.raises(
        StageFailed,
        match=(
            r"first failed \(roses-l10-s0\): the kernel of notebooks/tiny/1_first.ipynb was "
            r"ended from outside"
        ),
    ):
        make_run(project, tiny).execute()


def test_a_notebook_that_leaves_no_products_is_said_even_if_an_earlier_run_left_some(
    finished_project: Path, tiny: ModuleType
) -> None:
    edit(finished_project, SECOND, 3, "print('nothing')")
    with pytest.raises(
        StageFailed, match=r"2_second.ipynb ran to its end but left no products for these settings"
    ):
        make_run(finished_project, tiny, number=7).execute()


def test_a_missing_notebook(project: Path, tiny: ModuleType) -> None:
    (project / LAST).unlink()
    with pytest.raises(GdlibError, match=r"3_last.ipynb is no readable notebook"):
        make_run(project, tiny).jobs()


# ---- killed, stopped, side by side


@pytest.mark.slow
def test_killed_and_started_again_goes_on(
    project: Path, tiny: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    (project / "hold-second").touch()
    process = start(project, "run")
    kernel = kernel_of(project, "second")
    process.kill()
    process.communicate()
    until(lambda: ended(kernel))
    (project / "hold-second").unlink()
    patch(tiny, monkeypatch.setattr)
    lines: list[str] = []
    make_run(project, tiny, lines).execute()
    assert "up to date" in lines[0]
    assert executed(project) == ["first 0", "second 0", "second 0", "last 0"]


@pytest.mark.slow
def test_killed_with_its_process_group_all_that_it_started_ends_in_five_seconds(
    project: Path,
) -> None:
    """Also the processes that train, which the kernel itself started."""
    work = (
        "from gdlib.core.processes import in_processes\n"
        "os.environ['GDLIB_THREADS'] = '2'\n"
        "for _ in in_processes(tinystudy.nap, [(1,), (2,)]): pass"
    )
    with open(project / "tinystudy.py", "a") as module:
        module.write(
            "\n\ndef nap(number):\n    open('executed.log', 'a').write("
            "f'worker{number} x x {os.getpid()}\\n')\n    time.sleep(300)\n"
        )
    edit(project, FIRST, 2, f"{START}\nimport os\n{work}")
    process = start(project, "run")
    log = project / "executed.log"
    until(lambda: log.exists() and log.read_text().count("worker") == 2, seconds=300)
    started = [kernel_of(project, name) for name in ("worker1", "worker2")]
    started += [psutil.Process(started[0]).ppid()]  # what workers are forked from
    started += [psutil.Process(started[-1]).ppid()]  # the kernel
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    try:
        until(lambda: all(map(ended, started)), seconds=5)
    finally:
        for left in filter(lambda process: not ended(process), started):
            os.kill(left, signal.SIGKILL)


SLOW_TO_CLEAN = """

import asyncio
from jupyter_client.manager import AsyncKernelManager

clean = AsyncKernelManager.cleanup_resources


async def after_a_while(manager, *given, **named):
    await asyncio.sleep(1.5)  # so that it is seen that the kernel is gone
    await clean(manager, *given, **named)


AsyncKernelManager.cleanup_resources = after_a_while
"""


@pytest.mark.slow
@pytest.mark.parametrize("busy", [False, True])
def test_ctrl_c_ends_the_kernel_and_says_how_to_go_on(project: Path, busy: bool) -> None:
    if busy:
        with (project / "tinystudy.py").open("a") as study:
            study.write(SLOW_TO_CLEAN)
    (project / "hold-first").touch()
    process = start(project, "run", "--set", "factor=3", "--force")
    kernel = kernel_of(project, "first")
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130
    assert errors.endswith("\nstopped; to go on from here: gdlib run --set factor=3\n")
    assert "Traceback" not in errors and "died" not in errors
    assert ended(kernel)


@pytest.mark.slow
def test_two_runs_at_once_share_the_work(project: Path) -> None:
    (project / "hold-first").touch()
    one = start(project, "run")
    kernel_of(project, "first")
    two = start(project, "run")
    assert "waiting for another run that is making roses-l10-s0/first-" in two.stderr.readline()
    (project / "hold-first").unlink()
    outputs = [process.communicate(timeout=120) for process in (one, two)]
    assert [one.returncode, two.returncode] == [0, 0], outputs
    assert sorted(executed(project)) == ["first 0", "last 0", "second 0"]


# ---- plans


def test_a_sweep_is_corpora_by_labels_by_seeds(tiny: ModuleType) -> None:
    settings = tiny.Settings(
        corpora=("roses", "hub:tulips/red"), seeds=(0, 3), labels_sweep=(5, 10)
    )
    tasks = expand(tiny.PLAN, settings)
    assert [task.name for task in tasks if task.stage.name != "second"] == [
        "roses-l10-s0/first",
        "roses-l10-s3/first",
        "roses-l5-s0/first",
        "roses-l5-s3/first",
        "roses/last",
        "tulips-red-l10-s0/first",
        "tulips-red-l10-s3/first",
        "tulips-red-l5-s0/first",
        "tulips-red-l5-s3/first",
        "tulips-red/last",
    ]
    last = next(task for task in tasks if task.stage.name == "last")
    assert [task.name for task in last.needs] == [
        f"roses-l{count}-s{seed}/second" for count in (10, 5) for seed in (0, 3)
    ]
    assert last.settings == replace(settings, corpus="roses", corpora=(), labels_sweep=(5,))
    assert last.parameters == {"corpora": [], "seeds": [0, 3], "labels_sweep": [5]}
    assert tasks[2].parameters == {
        "corpus": "roses",
        "labels_per_class": 10,
        "seed": 3,
        "number": 1,
    }
    assert tasks[3].parameters == {"seed": 3, "factor": 2.0}
    alone = expand(tiny.PLAN, tiny.Settings(seeds=(0,)))[-1]
    assert (
        alone.settings == tiny.Settings()
    )  # one seed: what the notebook has when it is opened by hand
    with pytest.raises(BadSetting, match="two of them would share one folder of results"):
        expand(tiny.PLAN, tiny.Settings(corpora=("a/b", "a-b")))


def test_a_knob_of_the_last_stage_leaves_the_others_alone(
    finished_project: Path, tiny: ModuleType
) -> None:
    run = make_run(finished_project, tiny, number=7, seeds=(0, 1))
    assert [bool(finished(job)) for job in run.jobs().values()] == [
        True,
        True,
        False,
        False,
        False,
    ]


def test_corpus_and_seed_end_the_sweep_of_a_profile(
    tiny: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    patch(tiny, monkeypatch.setattr)
    assert settings_of(tiny.PLAN, "full", {}).corpora == ("roses", "tulips")
    one = settings_of(tiny.PLAN, "full", {"corpus": "daisies", "seed": 3})
    assert (one.corpus, one.corpora, one.seed, one.seeds) == ("daisies", (), 3, ())
    assert {task.run for task in expand(tiny.PLAN, one)} == {"daisies-l10-s3", "daisies"}


@pytest.mark.parametrize(
    ("corpus", "name"),
    [
        ("bbc", "bbc"),
        ("../data/ag_news/", "data-ag_news"),
        ("hub:fancyzhx/ag_news", "fancyzhx-ag_news"),
        ("/", "corpus"),
    ],
)
def test_a_corpus_as_the_name_of_a_folder(corpus: str, name: str) -> None:
    assert slug(corpus) == name


# ---- what is said while a stage runs


def test_time_is_expected_from_the_most_similar_receipt(
    finished_project: Path, tiny: ModuleType
) -> None:
    run = make_run(finished_project, tiny, number=8)
    store = run.open_store()
    manifests = [manifest for _, manifest in store.manifests("stages")]
    for job in run.jobs().values():
        path = next(
            p
            for p in (store.root / "stages").glob("*/artifact.json")
            if json.loads(p.read_text())["recipe"]["stage"] == job.stage.name
        )
        assert job.expected == json.loads(path.read_text())["seconds"]
        assert expected_seconds(job.recipe | {"study": "another"}, manifests) is None


def test_time_left_counts_down(
    finished_project: Path, tiny: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gdlib.run.progress.numbers_of", lambda job: {})

    class Instant(LocalEngine):
        def run(self, jobs, done):
            assert [job.stage.name for job in jobs] == ["second", "last"]
            assert all(job.expected for job in jobs)
            for job in jobs:
                done(job, 1.0)

    lines: list[str] = []
    make_run(finished_project, tiny, lines, number=7, factor=5.0).execute(Instant(), only=["last"])
    assert re.search(r"second .*\[about \d+ (s|min) left\]$", lines[1])
    assert "left" not in lines[2]


def test_numbers_and_durations_as_a_reader_wants_them() -> None:
    numbers = {
        "accuracy": (0.79123, "share"),
        "perplexity": (23.4567, ""),
        "texts": (12345, ""),
        "best": ("KimCNN", ""),
        "size": (4.4, "MB"),
    }
    shown = numbers_line(
        {name: {"value": value, "unit": unit} for name, (value, unit) in numbers.items()}
    )
    assert shown == "accuracy 79.1% · perplexity 23.46 · texts 12,345 · best KimCNN · size 4.4 MB"
    assert [duration(seconds) for seconds in (0.4, 99, 100, 5399, 5400)] == [
        "0 s",
        "99 s",
        "2 min",
        "90 min",
        "1.5 h",
    ]


def test_the_live_line_shows_the_newest_of_a_progress_bar() -> None:
    line = LiveLine("teacher (bbc-l10-s0)", 120)
    line.write("epoch 1:  10%|#  | 1/10\r\x1b[32mepoch 1:  20%|## | 2/10\x1b[0m\r\n")
    line.write("\n")
    assert line.text() == "teacher (bbc-l10-s0)  0 s of about 2 min  epoch 1:  20%|## | 2/10"


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_on_a_terminal_the_live_line_is_drawn_and_wiped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "60")
    out = Terminal()
    with LiveLine("teacher (bbc-l10-s0)", None, out) as line:
        line.write("epoch 1: [half] " + "x" * 80)
        until(lambda: "[half]" in out.getvalue())
        with line.paused():
            drawn = len(out.getvalue())
            print("a line of its own", file=out)
            time.sleep(0.7)
            assert out.getvalue()[drawn:] == "a line of its own\n"
        until(lambda: "teacher" in out.getvalue()[drawn:])
    assert re.search(r"teacher \(bbc-l10-s0\)  \d s  epoch 1: \[half\] xxx", out.getvalue())
    assert "x" * 60 not in out.getvalue(), "cut at the width of the terminal"
    assert out.getvalue().endswith("\x1b[2K"), "wiped"


def test_without_a_terminal_the_live_line_is_a_log(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "LOG_SECONDS", 0.05)
    out = io.StringIO()
    with LiveLine("teacher (bbc-l10-s0)", 120, out) as line:
        line.write("epoch 1\n")
        until(lambda: out.getvalue().count("\n") > 1)
    assert (
        out.getvalue().splitlines()[0].startswith("  ... teacher (bbc-l10-s0)  0 s of about 2 min")
    )
    assert "\x1b" not in out.getvalue()


def test_threads_are_checked(monkeypatch: pytest.MonkeyPatch) -> None:
    for value in ("many", "0", "-1", "1.5", "5000", "9" * 5_000):
        monkeypatch.setenv("GDLIB_THREADS", value)
        message = f'^GDLIB_THREADS is "{value[:40]}"; expected a number of threads from 1 to 1024$'
        with pytest.raises(BadSetting, match=message):
            thread_count()
    monkeypatch.setenv("GDLIB_THREADS", "3")
    assert thread_count() == 3
    monkeypatch.delenv("GDLIB_THREADS")
    assert 1 <= thread_count() <= (os.cpu_count() or 1)
