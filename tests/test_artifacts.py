"""Artifacts by declaration: what makes one again and what does not, and that no recipe can lie."""

import json
import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest
from forked import run_code

from gdlib.core.reach import Reach

ROOT = Path(__file__).parents[1]

STUDY = '''
"""A study of flowers."""
from dataclasses import dataclass, field
from pathlib import Path
from gdlib.core.artifacts import artifact, derived
from gdlib.core.registry import Registry
from gdlib.core.settings import knob, settings_class
from gdlib.core.store import texts_digest
from gdlib.core.study import Study
from gdlib.sources import garden

COLOURS = Registry("colour")
COLOURS.add("red", "gdlib.studies.flowers:red", "warm")
COLOURS.add("blue", "gdlib.studies.flowers:blue", "cool")

def red(): return "r"

def blue(): return "b"

@settings_class
class Settings:
    corpus: str = knob("roses", "texts", "what")
    water: int = knob(1, "teacher", "how much")
    sun: int = knob(1, "students", "how much")
    colours: tuple[str, ...] = knob(("red", "blue"), "students", "which")
    seeds: tuple[int, ...] = knob((0, 1), "students", "which")
    seed: int = knob(0, "texts", "seed")

@dataclass(frozen=True)
class Arm:
    colour: str
    help: str = field(default="", metadata={"label": True})

@dataclass
class Leaf:
    shape: str

    def drawn(self): return self.shape[0]

class FlowerStudy(Study):
    @derived
    def soil(self): return garden.soil(self.settings.corpus)

    @derived
    def rain(self): return self.settings.water * 10

    @artifact("teacher", "water", needs=("soil",))
    def teacher(self, folder):
        """Grows a teacher."""
        log("teacher")
        (folder / "t").write_text(watered(self.soil.name, self.settings.water))

    @artifact("students", "sun", "seed", needs=("teacher",))
    def student(self, folder, arm, number):
        log(f"student {arm.colour} {number}")
        (folder / "s").write_text(f"{self.mixed(arm)} {self.seed(number)} {self.settings.sun}")

    def mixed(self, arm):
        return COLOURS[arm.colour]() + self.leaf + (self.teacher() / "t").read_text()

    @property
    def leaf(self): return Leaf("oval").drawn()

    @artifact("students", needs=("soil",))
    def liar(self, folder):
        (folder / "x").write_text(str(self.settings.sun))

    @artifact("students", needs=("soil",))
    def hidden_liar(self, folder):
        (folder / "x").write_text(str(self.rain))

    @artifact("students", needs=("soil",))
    def greedy(self, folder):
        (folder / "x").write_text(str(self.teacher().key))

    def students(self):
        cells = [(Arm(c, "words"), s) for c in self.settings.colours for s in self.settings.seeds]
        return self.make_all("student", cells, "students")

def watered(name, water):
    return DROP * water + " " + name

DROP = "~"

def log(line):
    with open("made.log", "a") as file:
        file.write(line + "\\n")
'''
GARDEN = '''
"""Soil."""
from dataclasses import dataclass
from gdlib.core.errors import BadCorpus

@dataclass
class Soil:
    name: str

    @property
    def digest(self): return self.name

    def dig(self): return 1

def soil(name):
    if name == "sand":
        raise BadCorpus("nothing grows in sand")
    return Soil(name)
'''


@pytest.fixture
def house(tmp_path: Path) -> Path:
    """A copy of the package with a study of flowers in it."""
    package = tmp_path / "gdlib"
    for room in ("core", "sources", "studies"):
        shutil.copytree(
            ROOT / "gdlib" / room, package / room, ignore=shutil.ignore_patterns("__pycache__")
        )
    shutil.copy(ROOT / "gdlib/__init__.py", package)
    (package / "studies/flowers.py").write_text(STUDY)
    (package / "sources/garden.py").write_text(GARDEN)
    return tmp_path


def run(house: Path, code: str = "study.students()", again: str = "", **settings: object) -> list:
    """Run some code on the study in a process of its own; what was made, in order of names."""
    (house / "made.log").unlink(missing_ok=True)
    script = (
        "from gdlib.studies.flowers import *\nfrom gdlib.core.store import Store\n"
        f"study = FlowerStudy(Settings(**{settings!r}), Store('store'))\n{code}"
    )
    run_code(script, house, GDLIB_AGAIN=again)
    log = house / "made.log"
    return log.read_text().splitlines() if log.exists() else []


def change(house: Path, file: str, old: str, new: str) -> None:
    path = house / "gdlib" / file
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, new))


ALL = ["teacher", "student red 0", "student red 1", "student blue 0", "student blue 1"]
FLOWERS = "studies/flowers.py"


def test_one_more_seed_trains_one_and_one_more_arm_its_own(house: Path) -> None:
    assert run(house, colours=("red",), seeds=(0,)) == ["teacher", "student red 0"]
    assert run(house, colours=("red",), seeds=(0, 1)) == ["student red 1"]
    assert run(house) == ["student blue 0", "student blue 1"]
    assert run(house) == []
    assert run(house, sun=2, seeds=(0,)) == ["student red 0", "student blue 0"]
    assert run(house, water=2) == ALL


def test_a_changed_line_of_the_method_makes_that_artifact_and_what_needs_it_again(house) -> None:
    run(house)
    change(house, FLOWERS, "watered(self", "'' + watered(self")
    assert run(house) == ALL
    change(house, FLOWERS, '+ " " + name', '+ "  " + name')
    assert run(house) == ALL, "a function of the same module counts"
    change(house, FLOWERS, 'DROP = "~"', 'DROP = "."')
    assert run(house) == ALL, "and a constant that it reads"
    change(house, FLOWERS, "{self.mixed(arm)} {self.seed", "{self.mixed(arm)}, {self.seed")
    assert run(house) == ALL[1:], "the teacher does not depend on how students are made"
    change(house, FLOWERS, "COLOURS[arm.colour]() + self", 'COLOURS[arm.colour]() + "" + self')
    assert run(house) == ALL[1:], "a method that the artifact's method calls counts"
    change(house, FLOWERS, 'Leaf("oval")', 'Leaf("round")')
    assert run(house) == ALL[1:], "and a property"
    change(house, FLOWERS, "self.shape[0]", "self.shape[1]")
    assert run(house) == ALL[1:], "and the class that the property makes an object of"


def test_a_registry_s_entry_counts_for_those_that_name_it(house: Path) -> None:
    run(house)
    change(house, FLOWERS, 'return "b"', 'return "B"')
    assert run(house) == ["student blue 0", "student blue 1"]
    line = 'COLOURS.add("blue", "gdlib.studies.flowers:blue", "cool")'
    more = 'COLOURS.add("green", "gdlib.studies.flowers:red", "new")'
    change(house, FLOWERS, line, f"{line}\n{more}")
    assert run(house, colours=("red", "green")) == ["student green 0", "student green 1"]


def test_words_make_nothing_again(house: Path) -> None:
    run(house)
    change(house, "sources/garden.py", "nothing grows in sand", "sand is no soil")
    change(house, FLOWERS, "Grows a teacher.", "A teacher is grown.")
    change(house, FLOWERS, '"words"', '"other words"')
    change(house, FLOWERS, '"teacher", "how much"', '"teacher", "how much of it"')
    change(house, "core/errors.py", "that cannot be studied", "which cannot be studied")
    assert run(house) == []


def test_code_behind_a_needed_value_counts_by_its_methods_and_its_digest(house: Path) -> None:
    run(house)
    change(house, "sources/garden.py", 'if name == "sand":', 'if name == "sandy":')
    assert run(house) == [], "how the soil was found does not count, what it is does"
    change(house, "sources/garden.py", "def dig(self): return 1", "def dig(self): return 2")
    assert run(house) == ALL, "its methods may have been called"


@pytest.mark.parametrize(
    "name, message",
    [
        ("liar", "FlowerStudy.liar reads the knob sun, which its recipe does not cover; name it"),
        ("hidden_liar", "FlowerStudy.hidden_liar reads the knob water through rain, which"),
        ("greedy", "FlowerStudy.greedy reads the artifact teacher/"),
    ],
)
def test_what_a_recipe_does_not_cover_cannot_be_read(house: Path, name: str, message: str) -> None:
    with pytest.raises(RuntimeError, match=message):
        run(house, f"study.teacher(); study.rain; study.{name}()")


def test_artifacts_of_one_stage_are_made_again(house: Path) -> None:
    run(house)
    assert run(house, again=f"students:{time.time()}") == ALL[1:]
    assert run(house, again=f"teacher:{time.time()}") == ["teacher"]
    assert run(house, again="students:1") == [], "they are newer than that"


def test_a_killed_fan_out_goes_on_with_what_is_missing(house: Path) -> None:
    run(house, "study.student(Arm('red'), 0); study.student(Arm('blue'), 1)")
    assert run(house) == ["student red 1", "student blue 0"]


def test_two_processes_make_an_artifact_once(house: Path) -> None:
    change(house, FLOWERS, 'log("teacher")', 'log("teacher"); import time; time.sleep(4)')
    script = (
        "from gdlib.studies.flowers import *\nfrom gdlib.core.store import Store\n"
        "FlowerStudy(Settings(), Store('store')).teacher()"
    )
    environment = os.environ | {"PYTHONPATH": str(house), "GDLIB_THREADS": "1"}
    command = [sys.executable, "-c", script]
    makers = [subprocess.Popen(command, cwd=house, env=environment) for _ in range(2)]
    assert [maker.wait(timeout=60) for maker in makers] == [0, 0]
    assert (house / "made.log").read_text() == "teacher\n"


def test_a_plugin_s_study_counts_like_the_library_s_own(house: Path, monkeypatch) -> None:
    """A study in a folder of a plugin: its artifacts, and the digest of its stages' code."""
    mine = house / "garden" / "studies" / "mine"
    mine.mkdir(parents=True)
    extend = "import gdlib.studies\ngdlib.studies.__path__.append(__path__[0] + '/studies')\n"
    (house / "garden" / "__init__.py").write_text(extend)
    (house / "garden" / "words.py").write_text('WORD = "rich"\n')
    (mine / "__init__.py").write_text("")
    study = (house / "gdlib" / FLOWERS).read_text().replace("studies.flowers", "studies.mine.study")
    study = study.replace("watered(self", "WORD + watered(self")
    study = study.replace("class FlowerStudy", "from garden.words import WORD\n\nclass FlowerStudy")
    (mine / "study.py").write_text(study)
    (house / "gdlib" / FLOWERS).write_text(
        "from gdlib.core.registry import load_plugins\nload_plugins()\n"
        "from gdlib.studies.mine.study import *\n"
    )
    monkeypatch.setenv("GDLIB_PLUGINS", "garden")
    shown = "import gdlib.core.code as c\nlog(c.code_digest('gdlib.studies.mine.study'))"
    assert run(house) == ALL
    (before,) = run(house, shown)
    change(house, "../garden/studies/mine/study.py", "{self.mixed(arm)} {", "{self.mixed(arm)}, {")
    assert run(house) == ALL[1:]
    (after,) = run(house, shown)
    assert after != before, "its stages are executed again"
    change(house, "../garden/words.py", "rich", "poor")
    assert run(house) == ALL, "other modules of the plugin count too"
    assert run(house, shown) != [after]


def test_a_class_of_another_package_counts_by_the_name_that_our_code_has_for_it() -> None:
    """tqdm.auto gives another class in a notebook; what is made there is the same artifact."""
    from tqdm.notebook import tqdm_notebook
    from tqdm.std import tqdm

    assert Reach().value(tqdm) == Reach().value(tqdm_notebook)
    assert Reach().value(Reach) == "Reach"


def test_recipes_are_the_same_in_every_process(house: Path) -> None:
    code = (
        "import json; from gdlib.core.artifacts import *\n"
        "print(json.dumps(type(study).student.recipe(study, Arm('red'), 0)))"
    )
    shown = []
    for seed in ("0", "1"):
        environment = os.environ | {"PYTHONPATH": str(house), "PYTHONHASHSEED": seed}
        script = (
            "from gdlib.studies.flowers import *\nfrom gdlib.core.store import Store\n"
            f"study = FlowerStudy(Settings(), Store('store'))\n{code}"
        )
        done = subprocess.run(
            [sys.executable, "-c", script],
            cwd=house,
            env=environment,
            capture_output=True,
            text=True,
            check=True,
        )
        shown.append(json.loads(done.stdout))
    assert shown[0] == shown[1] and shown[0]["knobs"] == {"sun": 1, "seed": 0}
    assert shown[0]["cell"] == [{"colour": "red"}, 0]


REACHED = """
import inspect, json
from gdlib.core.artifacts import artifact
from gdlib.core.settings import digest
from gdlib.studies.generation.study import GenerationStudy
from gdlib.studies.transfer.study import TransferStudy
found = {}
for study in (GenerationStudy, TransferStudy):
    for name in dir(study):
        declared = inspect.getattr_static(study, name)
        if isinstance(declared, artifact):
            found[f"{study.__name__}.{name}"] = digest(declared.reach(study).code)
print(json.dumps(found))
"""


def test_which_artifacts_of_the_studies_a_changed_line_makes_again(tmp_path: Path) -> None:
    ignored = shutil.ignore_patterns("__pycache__", "*.parquet")
    shutil.copytree(ROOT / "gdlib", tmp_path / "gdlib", ignore=ignored)
    before = json.loads(run_code(REACHED, tmp_path))

    def changed() -> set[str]:
        now = json.loads(run_code(REACHED, tmp_path))
        return {name for name in now if now[name] != before[name]}

    message = "is not there and cannot be downloaded"
    for path in (tmp_path / "gdlib" / "sources").glob("*.py"):
        text = path.read_text()
        path.write_text(re.sub(r'raise (\w+)\(\s*f?"', lambda m: m.group(0) + message, text))
    assert changed() == set(), "the words of errors in the sources"
    change(tmp_path, "studies/generation/study.py", "self.seed(number)", "self.seed(number) + 1")
    assert changed() == {"GenerationStudy.trained_student"}
    change(tmp_path, "networks/generator.py", "def fine_tune(", "CHANGED = 1\n\n\ndef fine_tune(")
    assert changed() == {"GenerationStudy.trained_student"}, "what nothing reaches does not count"
