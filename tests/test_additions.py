"""What a newcomer adds, from outside of the library: a student, a loss, a corpus, a teacher and a
rule for several teachers are listed, run, and stand in a figure.
"""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import tiny

ROOT = Path(__file__).parents[1]

ADDITIONS = """
import shutil
from pathlib import Path
import pandas as pd
from gdlib.learn.names import RULES, SOFT_LOSSES
from gdlib.networks.names import STUDENTS
from gdlib.sources.cards import CARDS, Card
from gdlib.sources.networks import NETWORKS, NetworkCard

HERE = Path(__file__).parents[1]


def absolute(student_logits, teacher_logits, temperature):
    return (student_logits - teacher_logits).abs().mean()


def doubtful(evidence):
    from gdlib.learn.mixtures import mean

    return mean(evidence)


def flowers():
    return {name: pd.read_csv(HERE / f"corpus/{name}.csv") for name in ("train", "test")}


def unpack(files, folder):
    shutil.copytree(HERE / "encoder", folder, dirs_exist_ok=True)


STUDENTS.add("Thrifty", "additions.students:Thrifty", "small and from outside")
SOFT_LOSSES.add("absolute", "additions:absolute", "mean absolute difference of logits")
RULES.add("doubtful", "additions:doubtful", "all teachers, with doubt")
CARDS["flowers"] = Card("texts of a garden", "my drawer", "CC0", {"texts": flowers})
for tree in ("oak", "pine"):
    NETWORKS[tree] = NetworkCard(1, "CC0", "my drawer", "a tree", (), unpack)
"""


STUDENT = """
from gdlib.networks.students import KimCNN


class Thrifty(KimCNN):
    'A KimCNN by another name.'
"""


@pytest.fixture(scope="module")
def garden(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a package of additions and what it reads, and the project's notebooks."""
    folder = tmp_path_factory.mktemp("garden")
    (folder / "additions").mkdir()
    (folder / "additions" / "__init__.py").write_text(ADDITIONS)
    (folder / "additions" / "students.py").write_text(STUDENT)
    tiny.corpus(folder / "corpus", classes=3, texts=60, test=40)
    tiny.encoder(folder / "encoder")
    tiny.causal(folder / "causal")
    for name in ("notebooks", "gdlib"):
        os.symlink(ROOT / name, folder / name)
    return folder


def gdlib(garden: Path, *arguments: str) -> str:
    """What the command line answers with the additions as a plugin."""
    environment = os.environ | {
        "GDLIB_PLUGINS": "additions",
        "GDLIB_THREADS": "1",
        "GDLIB_CACHE": str(garden / "cache"),
        "PYTHONPATH": os.pathsep.join([str(ROOT), str(garden)]),
    }
    command = [sys.executable, "-c", "from gdlib.run.cli import main; main()", *arguments]
    done = subprocess.run(command, cwd=garden, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.parametrize(
    "study, shelf, line",
    [
        ("generation", "students", "Thrifty  small and from outside"),
        ("generation", "soft_loss", "absolute  mean absolute difference of logits"),
        ("generation", "corpora", "flowers  texts of a garden"),
        ("generation", "networks", "oak  a tree"),
        ("mlm", "arms", "doubtful  all teachers, with doubt"),
    ],
)
def test_an_addition_is_listed(garden: Path, study: str, shelf: str, line: str) -> None:
    shown = " ".join(gdlib(garden, "list", shelf, "--study", study).split())
    assert " ".join(line.split()) in shown


@pytest.mark.slow
def test_student_loss_corpus_and_teacher_from_outside_are_run_and_drawn(garden: Path) -> None:
    chosen = {"teacher": "oak", "generator": str(garden / "causal"), "students": "Thrifty"}
    chosen |= {"soft_loss": "absolute", "sample_divisors": "[]", "student_steps": "20"}
    moved = [part for name, value in chosen.items() for part in ("--set", f"{name}={value}")]
    shown = gdlib(garden, "run", "--profile", "smoke", "--corpus", "flowers", *moved)
    assert "generation-distillation, Thrifty" in shown
    report = garden / "runs/generation/smoke/report"
    text = (report / "report.md").read_text("utf-8")
    assert "oak" in text and "flowers" in text and "CC0" in text, "their licences are said"
    figures = [path.read_text("utf-8") for path in report.rglob("*.svg")]
    assert any("Thrifty" in figure for figure in figures)


@pytest.mark.slow
def test_a_rule_from_outside_teaches_and_is_drawn(garden: Path) -> None:
    chosen = {"teacher": "oak", "mlm_teachers": "oak,pine", "teacher_depths": "2,2"}
    chosen |= {"teacher_bodies": "full,full", "mlm_corpora": "flowers"}
    chosen |= {"arms": "no teacher,doubtful", "tuned_arms": "no teacher", "starts": "scratch"}
    moved = [part for name, value in chosen.items() for part in ("--set", f"{name}={value}")]
    gdlib(garden, "run", "--study", "mlm", "--profile", "smoke", "--corpus", "flowers", *moved)
    report = garden / "runs/mlm/smoke/report"
    assert "doubtful" in (report / "report.md").read_text("utf-8")
    assert any("doubtful" in path.read_text("utf-8") for path in report.rglob("*.svg"))
