"""The command line: what it teaches, what it says of mistakes, what it passes on."""

import errno
import json
import os
import re
import shutil
import subprocess
import sys
import time
import urllib.error
import urllib.request
from contextlib import suppress
from pathlib import Path
from types import ModuleType, SimpleNamespace

import nbformat
import pandas as pd
import psutil
import pytest
from conftest import ended, executed, make_project, patch, until
from typer.testing import CliRunner, Result

from gdlib import __version__
from gdlib.core.products import Products
from gdlib.core.settings import from_notebook, knobs
from gdlib.core.store import Store
from gdlib.run import opening, pipeline, publishing, studies
from gdlib.run.cli import app
from gdlib.run.engines import LocalEngine, RayEngine
from gdlib.run.invocation import from_root
from gdlib.run.jobs import StageFailed
from gdlib.run.live import duration, wrapped
from gdlib.run.progress import rerun_line

COMMANDS = (
    "run",
    "status",
    "report",
    "open",
    "explore",
    "export",
    "predict",
    "fetch",
    "list",
    "clean",
    "notebooks",
)


def gdlib(*arguments: str, answer: str = "") -> Result:
    return CliRunner().invoke(app, arguments, input=answer)


def text_of(result: Result) -> str:
    """What was said, without the boxes and line breaks of help pages."""
    return re.sub(r"[│╭╮╰╯─\s]+", " ", re.sub(r"\x1b\[[0-9;]*m", "", result.output))


@pytest.fixture(scope="module")
def _once(tmp_path_factory: pytest.TempPathFactory, tiny: ModuleType) -> Path:
    root = make_project(tmp_path_factory.mktemp("cli"))
    with pytest.MonkeyPatch.context() as monkeypatch:
        patch(tiny, monkeypatch.setattr)
        monkeypatch.chdir(root)
        result = gdlib("run", "--set", "number=7")
        assert result.exit_code == 0, result.output
    return root


@pytest.fixture
def here(_once: Path, tmp_path: Path, tiny: ModuleType, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder: a project with the tiny study, executed with ``number=7``."""
    root = shutil.copytree(_once, tmp_path / "project")
    patch(tiny, monkeypatch.setattr)
    monkeypatch.chdir(root)
    monkeypatch.setenv("COLUMNS", "1000")  # the tests themselves may run in a narrow terminal
    return root


# ---- help


@pytest.mark.parametrize("command", COMMANDS)
def test_every_help_has_an_example(command: str) -> None:
    result = gdlib(command, "--help")
    assert result.exit_code == 0
    assert f"Examples gdlib {command}" in text_of(result)


@pytest.mark.parametrize(
    "arguments",
    [["--help"], ["list"], ["status"]],
    ids=" ".join,
)
def test_what_only_tells_loads_no_torch(arguments: list[str], tmp_path: Path) -> None:
    script = (
        "import sys\nfrom gdlib.run.cli import app\n"
        f"app({[*arguments]!r}, standalone_mode=False)\n"
        "print([name for name in ('torch', 'transformers') if name in sys.modules])"
    )
    root = Path(__file__).parents[1]
    said = subprocess.run(
        [sys.executable, "-c", script],
        cwd=root,
        env={**os.environ, "PYTHONPATH": str(root), "GDLIB_CACHE": str(tmp_path)},
        capture_output=True,
        text=True,
    )
    assert said.stdout.splitlines()[-1] == "[]", said.stderr


def test_the_first_help_page_says_where_to_start() -> None:
    said = text_of(gdlib("--help"))
    assert "gdlib run --profile smoke does everything work?" in said
    assert all(f" {command} " in said for command in COMMANDS)
    assert gdlib("--version").output == f"gdlib {__version__}\n"


def test_help_fills_its_lines(monkeypatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    lines = gdlib("run", "--help").output.splitlines()
    (line,) = [line for line in lines if "GDLIB_THREADS" in line]
    assert (
        line.strip() == "environment variable GDLIB_THREADS sets the threads a stage computes with"
    )


@pytest.mark.parametrize(
    ("module", "heavy"),
    [
        ("run.cli", ("torch", "transformers", "pandas", "datasets", "ray", "papermill")),
        ("studies.generation.study", ("transformers", "sklearn", "scipy.stats", "datasets")),
    ],
)
def test_what_is_imported_needs_nothing_heavy(module: str, heavy: tuple[str, ...]) -> None:
    code = f"import sys, gdlib.{module}; print([name for name in {heavy} if name in sys.modules])"
    result = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        cwd=Path(__file__).parent.parent,
    )
    assert result.stdout == "[]\n"


# ---- run, status, report


def test_run_again_is_up_to_date(here: Path) -> None:
    result = gdlib("run", "--set", "number=7")
    assert result.exit_code == 0
    assert result.output.count("up to date") == 3
    assert "3 stages, 0 of them executed now" in result.output
    assert result.output.endswith("report: runs/tiny/quick/report/report.html\n")
    assert len(executed(here)) == 3


def test_status_says_what_a_change_would_make_run(here: Path) -> None:
    lines = gdlib("status", "-s", "number=7", "-s", "factor=9").output.splitlines()
    assert re.fullmatch(
        r"first      roses-l10-s0       up to date \(\d+ (s|min)\) +value 7 points", lines[0]
    )
    assert re.fullmatch(r"second     roses-l10-s0       to do \(about \d+ (s|min)\)", lines[1])
    assert re.fullmatch(r"last       roses              to do \(about \d+ (s|min)\)", lines[2])
    seconds = {
        manifest["recipe"]["stage"]: manifest["seconds"]
        for _, manifest in Store(here / "runs/store").manifests("stages")
    }
    spent = duration(seconds["second"] + seconds["last"])
    cost = f"a run would execute 2 of 3 stages; the last time they took {spent}"
    assert len(lines) == 4 and lines[3] == cost
    assert gdlib("status", "-s", "number=7").output.endswith("\nall 3 stages are up to date\n")


def test_status_fits_the_terminal(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = gdlib("status", "-s", "number=7").output
    monkeypatch.setenv("COLUMNS", "60")
    lines = gdlib("status", "-s", "number=7").output.splitlines()
    assert max(map(len, lines)) <= 60 < len(whole.splitlines()[0])
    assert lines[1] == " " * 11 + "value 7 points" and " ".join(lines).split() == whole.split()


def test_a_line_is_broken_between_its_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    line = "teacher  seed 0  accuracy 82.5% · held-out loss 0.656 nats   [about 2 min left]"
    assert wrapped(line, 3).splitlines() == [
        "teacher  seed 0  accuracy 82.5%",
        "   · held-out loss 0.656 nats",
        "   [about 2 min left]",
    ]


def test_status_says_what_it_does_not_know() -> None:
    old, new = (SimpleNamespace(expected=seconds) for seconds in (30.0, None))
    start = "a run would execute"
    assert rerun_line(3, [new, new]) == f"{start} 2 of 3 stages; none of them ran before"
    assert rerun_line(3, [old, new, old]) == (
        f"{start} 3 of 3 stages; the last time they took 60 s, without 1 that never ran"
    )


def test_status_of_a_sweep(here: Path) -> None:
    lines = gdlib("status", "--profile", "full").output.splitlines()
    assert len(lines) == 2 * (2 * 2 + 1) + 1
    assert all("to do" in line for line in lines[:-1])
    lines = gdlib(
        "status", "--profile", "full", "--corpus", "roses", "--seed", "0", "--set", "number=7"
    ).output.splitlines()
    assert [line.split()[0] for line in lines[:-1] if "up to date" in line] == [
        "first",
        "second",
        "last",
    ]
    lines = gdlib(
        "status", "--corpus", "a", "--corpus", "b", "--seed", "1", "--seed", "2"
    ).output.splitlines()
    assert [line.split()[1] for line in lines if line.startswith(("first", "last"))] == [
        "a-l10-s1",
        "a-l10-s2",
        "a",
        "b-l10-s1",
        "b-l10-s2",
        "b",
    ]


def test_a_report_is_published(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []
    monkeypatch.setattr(
        publishing, "publish", lambda page, to, *_: seen.append((page.name, to)) or to
    )
    result = gdlib("report", "--set", "number=7", "--publish", "reports/mine")
    assert result.exit_code == 0 and "published: reports/mine" in result.output
    assert seen == [("report", Path("reports/mine"))]


def test_a_report_is_opened(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened = []
    monkeypatch.setattr(opening.typer, "launch", opened.append)
    result = gdlib("open")
    page = here / "runs/tiny/quick/report/report.html"
    assert result.exit_code == 0 and result.output == f"{page}\n"
    assert opened == [page.as_uri()] and page.is_file()
    result = gdlib("open", "--profile", "full", "--set", "number=7")
    assert result.exit_code == 2 and len(opened) == 1
    first = "first: gdlib run --profile full --set number=7"
    assert f"no report at {here}/runs/tiny/full/report/report.html; {first}\n" in result.output


def test_the_explorer_s_notebook_has_the_settings_of_the_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    os.symlink(Path(__file__).parents[1] / "notebooks", tmp_path / "notebooks")
    monkeypatch.chdir(tmp_path)
    chosen = ("--corpus", "bbc", "--seed", "3", "--set", "num_samples=40", "--store", "kept")
    result = gdlib("explore", *chosen)
    assert result.exit_code == 2
    assert "bbc-l100-s3/students is not up to date; first: gdlib run --set num_samples=40" in (
        result.output
    )
    result = gdlib("export", "mine", *chosen)
    assert "first: gdlib run --set num_samples=40 --corpus bbc" in result.output
    assert "mine" not in result.output.partition("first:")[2], "the folder is no option of a run"
    monkeypatch.setattr("gdlib.run.jobs.finished", lambda job: True)
    result = gdlib("explore", *chosen, "--only-write")
    copy = tmp_path / "runs/generation/quick/bbc-l100-s3/explore_samples.ipynb"
    assert result.exit_code == 0 and result.output == f"{copy}\n"
    cells = nbformat.read(copy, as_version=4).cells
    names: dict = {}
    for cell in cells:
        if {"parameters", "injected-parameters"} & set(cell.metadata.tags):
            exec(cell.source, names)
    plan = pipeline.plan_of("generation")
    settings = pipeline.settings_of(plan, "quick", {"corpus": "bbc", "seed": 3, "num_samples": 40})
    assert from_notebook(plan.settings, names) == settings and names["store"] == "kept"
    # What the run has left beside the students is named.
    assert names["kept"] == ""
    out = Products(Store("kept"), plan.products_recipe("students", settings))
    out.aside("explored", pd.DataFrame({"text": ["a"]}))
    left = out.write()
    gdlib("explore", *chosen, "--only-write")
    assert f'kept = "kept/products/{left.path.name}"' in copy.read_text().replace('\\"', '"')


EXPLORE = """
import gdlib.run.jobs
from gdlib.run.cli import main
gdlib.run.jobs.finished = lambda job: True
main()
"""


@pytest.mark.slow
def test_killed_the_explorer_s_server_and_kernels_end_in_five_seconds(tmp_path: Path) -> None:
    root = Path(__file__).parents[1]
    for name in ("notebooks", "gdlib"):
        os.symlink(root / name, tmp_path / name)
    places = {name: str(tmp_path / name) for name in ("JUPYTER_CONFIG_DIR", "JUPYTER_RUNTIME_DIR")}
    chosen = {"open_browser": False, "allow_root": True, "token": "secret"}
    Path(places["JUPYTER_CONFIG_DIR"]).mkdir()
    config = Path(places["JUPYTER_CONFIG_DIR"]) / "jupyter_server_config.json"
    config.write_text(json.dumps({"ServerApp": chosen}))
    environment = os.environ | places | {"PYTHONPATH": str(root)}
    with open(tmp_path / "lab.log", "w") as log:
        process = subprocess.Popen(
            [sys.executable, "-c", EXPLORE, "explore"],
            cwd=tmp_path,
            env=environment,
            stdout=log,
            stderr=log,
            process_group=0,
        )
    started: list[psutil.Process] = []
    try:
        servers = Path(places["JUPYTER_RUNTIME_DIR"])
        until(lambda: any(servers.glob("jpserver-*.json")), seconds=300)
        url = json.loads(next(servers.glob("jpserver-*.json")).read_text())["url"]
        request = urllib.request.Request(
            f"{url}api/kernels", b"{}", {"Authorization": "token secret"}, method="POST"
        )

        def has_kernel() -> bool:
            try:
                return urllib.request.urlopen(request, timeout=60).status == 201
            except urllib.error.URLError:  # not listening yet
                return False

        until(has_kernel)
        started = psutil.Process(process.pid).children(recursive=True)
        assert any("ipykernel_launcher" in each.cmdline() for each in started)
        time.sleep(3)  # the kernel is up and watches its parent
        process.kill()
        process.wait()
        until(lambda: all(ended(each.pid) for each in started), seconds=5)
    finally:
        process.kill()
        for left in started:
            with suppress(psutil.NoSuchProcess):
                left.kill()


def test_other_studies_have_no_samples_to_explore() -> None:
    result = gdlib("explore", "--study", "mlm")
    expected = "gdlib: study mlm: expected a run of the study generation\n"
    assert (result.exit_code, result.output) == (2, expected)


def test_a_published_report_is_rendered(tmp_path: Path) -> None:
    (tmp_path / "report.md").write_text("# Mine\n")
    result = gdlib("report", "--render", str(tmp_path))
    assert result.output == f"rendered: {tmp_path / 'report.html'}\n"
    assert "<h1>Mine</h1>" in (tmp_path / "report.html").read_text()
    result = gdlib("report", "--render", str(tmp_path / "none"))
    assert result.stderr == (
        f'gdlib: no report in "{tmp_path / "none"}"; expected a folder with a report.md\n'
    )


def test_report_is_written_again_with_the_command_of_the_run(here: Path) -> None:
    shutil.rmtree(here / "runs/tiny/quick/report")
    assert gdlib("report", "--set", "number=7").exit_code == 0
    assert (
        here / "runs/tiny/quick/report/report.html"
    ).read_text() == "Tiny: 3 tasks of quick by gdlib run --set number=7"
    assert gdlib("report", "--set", "number=7", "--store", str(here / "runs/store")).exit_code == 0
    page = (here / "runs/tiny/quick/report/report.html").read_text()
    assert page.endswith("by gdlib run --set number=7")  # the store is a folder of this machine
    missing = gdlib("report")
    assert missing.exit_code == 2
    assert "gdlib: 3 of 3 stages are not up to date" in missing.output


def test_from_a_folder_below_paths_mean_the_same(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (here / "data" / "mine").mkdir(parents=True)
    monkeypatch.chdir(here / "data")
    lines = gdlib("status", "--corpus", "mine", "--store", "../runs/store").output.splitlines()
    assert lines[0].split()[1] == "data-mine-l10-s0"
    lines = gdlib("status", "--set", "number=7", "--store", "../runs/store").output.splitlines()
    assert len(lines) == 4 and all("up to date" in line for line in lines)


def test_a_failed_stage_ends_with_the_command_to_go_on(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise StageFailed("second failed (roses-l10-s0) in its notebook")

    monkeypatch.setattr(LocalEngine, "run", fail)
    result = gdlib("run", "--set", "factor=3", "--store", "other store", "--force")
    assert result.exit_code == 1
    assert result.stderr == (
        "second failed (roses-l10-s0) in its notebook\nto go on from here: gdlib run --set "
        "factor=3 --store 'other store'\n"
    )


def test_a_store_or_cache_or_disk_that_cannot_be_used_is_one_line(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (here / "file").touch()
    hint = "free some space, or choose a folder that can be written: --store, of the cache GDLIB_C"
    monkeypatch.setenv("GDLIB_CACHE", str(here / "file"))
    result = gdlib("fetch", "bbc")
    assert result.exit_code == 2 and hint in result.stderr and result.stderr.count("\n") == 1

    def fail(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device", "runs/tiny/report.md")

    monkeypatch.setattr(LocalEngine, "run", fail)
    result = gdlib("run", "--set", "factor=4")
    assert (result.exit_code, result.stderr) == (
        2,
        "gdlib: runs/tiny/report.md: No space left on device; check the folder, its disk and its "
        "permissions\n",
    )


def test_the_engine_is_chosen(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []
    monkeypatch.setattr(
        RayEngine, "run", lambda self, jobs, done: seen.append((self.address, len(jobs)))
    )
    assert (
        gdlib(
            "run",
            "--engine",
            "ray",
            "--ray-address",
            "auto",
            "--only",
            "first",
            "--set",
            "number=3",
        ).exit_code
        == 0
    )
    assert seen == [("auto", 1)]


# ---- mistakes


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ["run", "--set", "numbr=3"],
            'unknown setting "numbr"; did you mean "number"? known: corpus, labels_per_class',
        ),
        (["run", "--set", "number"], '"number" is no assignment; expected NAME=VALUE'),
        (
            ["run", "--set", "number=many"],
            "setting number = 'many': Input should be a valid integer",
        ),
        (["run", "--profile", "fast"], 'unknown profile "fast"; known: quick, full'),
        (["run", "--only", "third"], 'unknown stage "third"; known: first, second, last'),
        (
            ["list", "corpuses"],
            'unknown list "corpuses"; known: studies, profiles, corpora, networks',
        ),
        (["clean", "--store", "nowhere"], "no store at nowhere; expected the folder of artifacts"),
    ],
)
def test_a_mistake_is_one_line(here: Path, arguments: list[str], message: str) -> None:
    result = gdlib(*arguments)
    assert result.exit_code == 2
    assert result.stderr.startswith(f"gdlib: {message}")
    assert result.stderr.count("\n") == 1


def test_an_unknown_study() -> None:
    result = gdlib("run", "--study", "generaton")
    assert (result.exit_code, result.stderr) == (
        2,
        (
            'gdlib: unknown study "generaton"; did you mean "generation"? known: generation, '
            "lexical, mlm, paraphrase, tagging, transfer, understanding\n"
        ),
    )


def test_outside_of_a_project(
    tmp_path: Path, tiny: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    patch(tiny, monkeypatch.setattr)
    monkeypatch.chdir(tmp_path)
    assert (
        f"gdlib: no notebooks/tiny/1_first.ipynb in {tmp_path} or above" in gdlib("status").stderr
    )


# ---- list and fetch, of the real study


def test_list_names_everything_there_is_to_choose(monkeypatch) -> None:
    monkeypatch.setenv("COLUMNS", "1000")  # the tests themselves may run in a narrow terminal
    said = gdlib("list").output
    for heading in ("profiles", "corpora", "networks", "students", "arms", "stages", "knobs"):
        assert f"\n{heading}: " in f"\n{said}"
    for line in (
        r"  quick +the default: ",
        r"  wordnet +dictionary definitions .*licence: WordNet 3.0",
        r"  minilm-l6 +MiniLM-L6.*22.7M parameters, 84 MB.*licence: Apache-2.0",
        r"  KimCNN +Convolutions",
        r"  generation-distillation +the paper's arm",
        r"  compare +.*6_compare.ipynb",
        r"  labels_per_class = 100 +gold labels per class",
    ):
        assert re.search(line, said), line


def test_list_knobs_is_by_stage_and_as_wide_as_the_terminal(monkeypatch) -> None:
    monkeypatch.setenv("COLUMNS", "1000")
    whole = gdlib("list", "knobs").output
    monkeypatch.setenv("COLUMNS", "72")
    lines = gdlib("list", "knobs").output.splitlines()
    assert max(map(len, lines[1:])) <= 72 and " ".join(lines).split() == whole.split()
    known = knobs(studies.plan_of("generation").settings)
    stage, found = "", {}
    for line in lines[1:]:
        stage = line.strip(" []") if line.startswith("  [") else stage
        if match := re.match(r"  (\w+) = ", line):
            found[match[1]] = stage
    assert found == {name: meta["stage"] for name, meta in known.items()}


def test_fetch_takes_corpora_and_networks_by_name() -> None:
    assert gdlib("fetch", "wordnet").output == "wordnet: 69,885 texts\n"
    assert gdlib("fetch", "wordnett").stderr.startswith(
        'gdlib: unknown corpus or network "wordnett"; did you mean "wordnet"? known: bbc, '
    )


# ---- clean


def test_clean_takes_what_nothing_needs_and_asks(here: Path) -> None:
    store = Store(here / "runs/store")
    network = store.make(
        "teacher", {"a": 1}, lambda folder: (folder / "weights").write_bytes(bytes(1_000_000))
    )
    (store.root / "damaged" / "teacher-1").mkdir(parents=True)
    (store.root / "work" / "teacher" / "2").mkdir(parents=True)
    (store.root / "work" / "teacher" / "3").mkdir(parents=True)
    with store.lock(store.root / "teacher" / "3"):  # somebody is at it
        assert gdlib("clean", "--dry-run").output == (
            "      0.0 MB  damaged/teacher-1  (damaged)\n"
            "      0.0 MB  work/teacher/2  (interrupted)\n"
            "would delete 2 artifacts, 0.0 MB\n"
        )
        refused = gdlib("clean", answer="n\n")
        assert "delete 2 artifacts, 0.0 MB? [y/N]" in refused.output
        assert (store.root / "damaged" / "teacher-1").exists()
        assert gdlib("clean", "--yes").output.endswith("deleted 2 artifacts, 0.0 MB\n")
        assert sorted(path.name for path in (store.root / "work" / "teacher").iterdir()) == ["3"]
    assert not list((store.root / "damaged").iterdir())
    assert network.path.exists()
    assert "1.0 MB  teacher/" in gdlib("clean", "--unused-days", "0", "--yes").output
    assert not network.path.exists()
    assert gdlib("run", "--set", "number=7").output.count("up to date") == 3


def test_clean_takes_stages_of_changed_code_with_their_products(here: Path) -> None:
    notebook = here / "notebooks/tiny/2_second.ipynb"
    notebook.write_text(notebook.read_text().replace("settings.factor)", "settings.factor + 0)"))
    found = gdlib("clean", "--yes").output
    assert found.count("  stages/") == found.count("  products/") == 2
    store = Store(here / "runs/store")
    assert (
        len(list((store.root / "stages").iterdir()))
        == len(list((store.root / "products").iterdir()))
        == 1
    )
    lines = gdlib("status", "--set", "number=7").output.splitlines()
    assert ["up to date" in line for line in lines[:-1]] == [True, False, False]


def test_folders_are_named_as_seen_from_the_project(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    project, folder = tmp_path / "project", tmp_path / "texts" / "sick"
    project.mkdir(), folder.mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    seen = from_root(
        project,
        (
            "texts/sick",
            "texts/sick:relatedness",
            str(folder),
            "movies",
            "hub:texts",
            "texts/none:label",
            3,
        ),
    )
    assert seen == (
        "../texts/sick",
        "../texts/sick:relatedness",
        str(folder),
        "movies",
        "hub:texts",
        "texts/none:label",
        3,
    )
    assert from_root(project, Path("store")) == str(tmp_path / "store")
    assert from_root(project, project / "runs" / "store") == "runs/store"
