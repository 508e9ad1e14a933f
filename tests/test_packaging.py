"""What is shipped: one list of dependencies, pinned whole; clean notebooks."""

import ast
import os
import re
import shutil
import subprocess
import tomllib
from importlib import metadata
from pathlib import Path
from typing import Any

import nbformat
import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from gdlib.core.errors import BadSetting
from gdlib.core.plans import Plan, Stage
from gdlib.core.settings import jsonable, knob, knobs, settings_class
from gdlib.run.parameters import parameters_cell, write_parameters
from gdlib.run.studies import names, plan_of

ROOT = Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
PINS = dict(
    line.split("==")
    for line in (ROOT / "constraints.txt").read_text("utf-8").splitlines()
    if line and not line.startswith("#")
)
NOTEBOOKS = sorted(
    path.relative_to(ROOT)
    for path in (ROOT / "notebooks").rglob("*.ipynb")
    if ".ipynb_checkpoints" not in path.parts
)
STAGES = {
    f"notebooks/{stage.notebook}": (plan_of(study), stage)
    for study in names()
    for stage in plan_of(study).stages
}


# ---- dependencies


def test_environment_yml_has_the_dependencies_of_pyproject() -> None:
    environment = yaml.safe_load((ROOT / "environment.yml").read_text("utf-8"))
    *conda, pip = environment["dependencies"]
    assert environment["name"] == PROJECT["name"]
    assert conda == [f"python{PROJECT['requires-python']}", "pip"]
    assert pip == {"pip": ["-c constraints.txt", *PROJECT["dependencies"], "-e ."]}


def test_torch_is_taken_as_written() -> None:
    assert "torch==2.13.0" in PROJECT["dependencies"]
    assert PINS["torch"] == "2.13.0"


def test_every_pin_fits_what_pyproject_asks_for() -> None:
    pins = {canonicalize_name(name): version for name, version in PINS.items()}
    extras = PROJECT["optional-dependencies"].items()
    wanted = [
        *PROJECT["dependencies"],
        *(one for extra, needed in extras for one in needed if extra != "bench"),
    ]
    for requirement in map(Requirement, wanted):
        assert requirement.specifier.contains(pins[canonicalize_name(requirement.name)]), (
            requirement
        )


def test_peers_of_the_benchmarks_come_with_their_extra_alone() -> None:
    """Neither a run nor the tests need them: no pin brings them in."""
    peers = [Requirement(one).name for one in PROJECT["optional-dependencies"]["bench"]]
    assert peers == ["model2vec", "skeletoken", "textbrewer"]
    assert not set(peers) & {canonicalize_name(name) for name in PINS}


def test_the_pins_cover_the_whole_tree() -> None:
    """From the dependencies on, through what the installed packages ask for here: all of it is
    pinned.
    """
    pinned = {canonicalize_name(name) for name in PINS}
    open_ends = [*PROJECT["dependencies"], *PROJECT["optional-dependencies"]["test"]]
    seen: set[tuple[str, frozenset[str]]] = set()
    while open_ends:
        requirement = Requirement(open_ends.pop())
        extras = frozenset(requirement.extras)
        name = canonicalize_name(requirement.name)
        if (name, extras) in seen:
            continue
        seen.add((name, extras))
        assert name in pinned or name.startswith(("nvidia-", "triton", "cuda-")), (
            f"{name} is not pinned (torch pins its own CUDA wheels)"
        )
        try:
            asked = metadata.requires(name) or []
        except metadata.PackageNotFoundError:  # for another platform, or torch's CUDA wheels
            continue
        for one in map(Requirement, asked):
            if one.marker is None or any(
                one.marker.evaluate({"extra": extra}) for extra in extras | {""}
            ):
                open_ends.append(str(one))
    assert len(seen) > 100


def test_the_style_file_profiles_and_data_are_shipped() -> None:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["setuptools"]
    shipped = {
        path
        for pattern in settings["package-data"]["gdlib"]
        for path in (ROOT / "gdlib").glob(pattern)
        if path.is_file()
    }
    tracked = subprocess.run(
        ["git", "ls-files", "gdlib"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.split()
    assert {ROOT / path for path in tracked if not path.endswith(".py")} <= shipped


# ---- make


def make(*arguments: str, folder: Path = ROOT) -> str:
    return subprocess.run(
        ["make", *arguments], cwd=folder, capture_output=True, text=True, check=True
    ).stdout


def test_make_help_and_ci_name_the_commands() -> None:
    said = make("help")
    assert all(f"make {target} " in said for target in ("study", "test", "lab", "reports", "clean"))
    assert make() == said, "help is what a bare make says"
    assert (ROOT / ".ci/run").read_text().splitlines()[0] == "#!/usr/bin/env bash"
    assert os.access(ROOT / ".ci/run", os.X_OK)


def test_the_environment_is_set_up_once_and_again_if_its_description_changes(
    tmp_path: Path,
) -> None:
    for name in ("Makefile", "pyproject.toml", "constraints.txt"):
        (tmp_path / name).write_bytes((ROOT / name).read_bytes())
    (tmp_path / ".venv/bin").mkdir(parents=True)
    (tmp_path / ".venv/bin/python").touch()
    assert "pip install" in make("-n", "study", folder=tmp_path)
    (tmp_path / ".venv/.study").touch()
    assert "pip install" not in make("-n", "study", folder=tmp_path)
    assert "'.[test]'" in make("-n", "test", folder=tmp_path)
    (tmp_path / ".venv/.test").touch()
    assert "pip install" not in make("-n", "test", folder=tmp_path)
    os.utime(tmp_path / ".venv/.study", (1, 1))
    assert "-c constraints.txt -e ." in make("-n", "study", folder=tmp_path)


# ---- notebooks


def test_every_stage_has_its_notebook() -> None:
    assert set(STAGES) <= {path.as_posix() for path in NOTEBOOKS}


@pytest.mark.parametrize("path", NOTEBOOKS, ids=str)
def test_a_notebook_is_clean(path: Path) -> None:
    """No outputs, no counts, ids that stay, one parameters cell; nothing longer than ten lines is
    defined.
    """
    notebook = nbformat.read(ROOT / path, 4)
    nbformat.validate(notebook)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert all(cell.outputs == [] and cell.execution_count is None for cell in code)
    assert len({cell.id for cell in notebook.cells}) == len(notebook.cells)
    assert (
        len([cell for cell in notebook.cells if "parameters" in cell.metadata.get("tags", [])]) == 1
    )
    assert "papermill" not in notebook.metadata and "widgets" not in notebook.metadata
    for node in ast.walk(
        ast.parse("\n".join(cell.source for cell in code if not cell.source.startswith("%")))
    ):
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
            assert node.end_lineno - node.lineno < 10, f"{node.name} belongs into the library"


@pytest.mark.parametrize("study", names())
def test_the_parameters_cells_are_as_the_knobs_say(study: str) -> None:
    assert write_parameters(plan_of(study), ROOT, check=True) == [], "write them: gdlib notebooks"


@pytest.mark.parametrize("path", STAGES)
def test_a_parameters_cell_holds_literals_in_lines_of_at_most_100_columns(path: str) -> None:
    plan, stage = STAGES[path]
    source, values = _parameters(path)
    own = {name for name, meta in knobs(plan.settings).items() if meta["stage"] == stage.name}
    default = plan.settings()
    assert values == {name: getattr(default, name) for name in own} | {"store": "runs/store"}
    assert max(map(len, source.splitlines())) <= 100


def test_a_cell_that_is_not_as_the_knobs_say_is_named_and_written(tmp_path: Path) -> None:
    plan = plan_of("generation")
    shutil.copytree(ROOT / "notebooks", tmp_path / "notebooks")
    path = tmp_path / "notebooks" / plan.stages[1].notebook
    whole = path.read_text("utf-8")
    path.write_text(whole.replace("teacher_batch = 16  #", "teacher_batch = 17  #"), "utf-8")
    assert write_parameters(plan, tmp_path, check=True) == [path]
    assert path.read_text("utf-8") != whole
    assert write_parameters(plan, tmp_path) == [path]
    assert path.read_text("utf-8") == whole
    assert write_parameters(plan, tmp_path) == []


def test_a_help_that_is_too_long_for_its_line_is_an_error() -> None:
    @settings_class
    class Wordy:
        number: int = knob(1, "first", "word " * 20)

    stage = Stage("first", "1.ipynb", (), "run", "")
    with pytest.raises(BadSetting, match="the help of number is 14 columns too long for its line"):
        parameters_cell(Plan("wordy", "Wordy", Wordy, (stage,), ""), stage)


def test_other_notebooks_agree_with_the_defaults_where_they_name_a_knob() -> None:
    default = plan_of("generation").settings()
    for path in {path.as_posix() for path in NOTEBOOKS} - set(STAGES):
        for name, value in _parameters(path)[1].items():
            if hasattr(default, name):
                assert jsonable(value) == jsonable(getattr(default, name)), (path, name)


def _parameters(path: str) -> tuple[str, dict[str, Any]]:
    """The parameters cell, and its names with their literals; anything but ``name = literal``
    fails.
    """
    (cell,) = (
        cell
        for cell in nbformat.read(ROOT / path, 4).cells
        if "parameters" in cell.metadata.get("tags", [])
    )
    values = {}
    for node in ast.parse(cell.source).body:
        assert isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name), ast.unparse(
            node
        )
        values[node.targets[0].id] = ast.literal_eval(node.value)
    return cell.source, values


# ---- what is written where


def test_every_link_of_the_readmes_and_the_reports_leads_somewhere() -> None:
    """To a file that is committed; the reports have at most 15 MB, text and vectors alone."""
    tracked = subprocess.run(
        ["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.splitlines()
    there = {path.as_posix() for name in tracked for path in (Path(name), *Path(name).parents)}
    for page in (name for name in tracked if name.endswith(".md")):
        prose = re.sub(r"```.*?```", "", (ROOT / page).read_text("utf-8"), flags=re.DOTALL)
        for target in re.findall(r"\]\(([^)#\s]+)[^)]*\)", prose):
            if not re.match(r"[a-z]+:", target):
                assert os.path.normpath(Path(page).parent / target) in there, (page, target)
    reports = [ROOT / name for name in tracked if name.startswith("reports/")]
    assert sum(path.stat().st_size for path in reports if path.exists()) < 15e6
    assert {path.suffix for path in reports} <= {".md", ".svg", ".json", ".parquet", ".csv"}


def test_the_tree_names_no_machine() -> None:
    """No path of a home folder anywhere, nor of a store in the commands that reports show; no host
    of a package registry where dependencies are listed.
    """
    home, registry = (
        re.compile(r"/home/\w|/root/|/Users/\w|--store '?/"),
        re.compile(r"https?://|--(extra-)?index-url|--find-links"),
    )
    tracked = subprocess.run(
        ["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.splitlines()
    for path in tracked:
        if (
            Path(path).suffix in {".py", ".toml", ".txt", ".yml", ".md", ".ipynb", ".json", ""}
            and path != "tests/test_packaging.py"
        ):
            assert not home.search((ROOT / path).read_text("utf-8")), path
    for path in ("pyproject.toml", "constraints.txt", "environment.yml", "Makefile"):
        assert not registry.search((ROOT / path).read_text("utf-8")), path


def test_every_module_can_be_read_in_one_sitting() -> None:
    lines = {
        path.relative_to(ROOT).as_posix(): len(path.read_text("utf-8").splitlines())
        for folder in ("gdlib", "benchmarks", "tools")
        for path in (ROOT / folder).rglob("*.py")
    }
    assert {name: count for name, count in lines.items() if count > 250} == {}
