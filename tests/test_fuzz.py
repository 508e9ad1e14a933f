"""Whatever folder and whatever settings a study is given, it refuses them in one line, or what it
makes of them can be studied: never a traceback, never a hang, never numbers that are none.
"""

import json
import signal
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import tiny
import torch
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file

from gdlib.core import settings as config
from gdlib.core.errors import GdlibError
from gdlib.core.plans import expand
from gdlib.core.store import Store
from gdlib.run import pipeline, studies
from gdlib.sources.parts import normalise
from gdlib.sources.senses import SenseData
from gdlib.sources.tasks import Task
from gdlib.studies.generation.settings import Settings
from gdlib.studies.generation.study import GenerationStudy
from gdlib.studies.shared import funnel

# ---- folders

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=4,
)
ROW = st.fixed_dictionaries({}, optional={"text": JSON, "label": JSON, "tokens": JSON})
CELL = st.text(st.sampled_from('ab1,"\t\n\r \u00a0\ud7ff\0'), max_size=4)
CSV = st.lists(st.lists(CELL, max_size=4), max_size=5).map(
    lambda rows: "text,label\n" + "\n".join(map(",".join, rows))
)
LINES = st.lists(
    st.sampled_from("a O,b\tB-X,# c,# O,\t, ,I-X,d _ _ I-X,e B-X,-DOCSTART-".split(","))
)
KINDS = [
    pa.string(), pa.int64(), pa.float64(), pa.bool_(), pa.binary(), pa.list_(pa.string()),
    pa.list_(pa.int32()), pa.date32(), pa.decimal128(6, 2), pa.struct([("a", pa.string())]),
    pa.dictionary(pa.int8(), pa.string()), pa.null(), pa.map_(pa.string(), pa.string()),
]  # fmt: skip
VALUES: dict[str, list[Any]] = {
    "string": ["a", "b", ""], "int64": [0, 1, -5], "double": [0.0, 1.5, float("nan")],
    "bool": [True, False], "binary": [b"a", b"\xff"], "list<item: string>": [["a"], [], [None]],
    "list<item: int32>": [[1], [0, 7]], "date32[day]": [1, 2], "null": [None],
    "decimal128(6, 2)": [1, 2], "struct<a: string>": [{"a": "b"}, {}],
    "map<string, string>": [[("a", "b")]], "dictionary<values=string, indices=int8, ordered=0>": [
        "a", "b"
    ],
}  # fmt: skip


@st.composite
def parquet(draw: st.DrawFn) -> pa.Table:
    """A table with some of the columns that are looked for, of any of Arrow's kinds."""
    names = draw(st.lists(st.sampled_from(["text", "label", "tokens", "ner_tags"]), unique=True))
    size, columns = draw(st.integers(0, 4)), {}
    for name in names:
        kind = draw(st.sampled_from(KINDS))
        values = st.sampled_from([*VALUES[str(kind)], None])
        columns[name] = pa.array(draw(st.lists(values, min_size=size, max_size=size)), kind)
    return pa.table(columns)


@st.composite
def odd_files(draw: st.DrawFn) -> tuple[str, bytes]:
    """A file of any kind that may hold anything, and may be damaged."""
    kind = draw(st.sampled_from(["jsonl", "csv", "conll", "parquet"]))
    if kind == "jsonl":
        text = "\n".join(draw(st.lists(ROW.map(json.dumps), max_size=4)))
        return "train.jsonl", text.encode("utf-8", "surrogatepass")
    if kind == "csv":
        return "train.csv", draw(CSV).encode()
    if kind == "conll":
        return "train.conll", "\n".join(draw(LINES)).encode()
    out = pa.BufferOutputStream()
    pq.write_table(draw(parquet()), out)
    whole = out.getvalue().to_pybytes()
    if damage := draw(st.none() | st.tuples(st.floats(0, 1), st.binary(min_size=1, max_size=8))):
        place = int(damage[0] * len(whole))
        whole = whole[:place] + damage[1] + whole[place + len(damage[1]) :]
    return "train.parquet", whole


FAULTS = {
    "none": lambda table, random: table,
    "an empty text": lambda table, random: table.assign(text=["", *table["text"][1:]]),
    "no label": lambda table, random: table.assign(label=[None, *table["label"][1:]]),
    "one text": lambda table, random: table.assign(text=table["text"].iloc[0]),
    "one class": lambda table, random: table.assign(label="a"),
    "another column": lambda table, random: table.rename(columns={"text": "sentence"}),
    "twice": lambda table, random: pd.concat([table, table]),
    "a lone class": lambda table, random: table.assign(label=["lone", *table["label"][1:]]),
    "long": lambda table, random: table.assign(text=table["text"] + " x" * 3_000),
    "nothing": lambda table, random: table[:0],
    "numbers": lambda table, random: table.assign(label=random.random(len(table))),
}


@st.composite
def tables(draw: st.DrawFn) -> dict[str, bytes]:
    """Files of a folder that could be studied, but perhaps for one fault."""
    classes, texts = draw(st.integers(1, 4)), draw(st.integers(2, 16))
    random = np.random.default_rng(draw(st.integers(0, 999)))
    fault = FAULTS[draw(st.sampled_from(sorted(FAULTS) + ["none"] * 20))]
    faulty = draw(st.sampled_from(["train", "train", "test"]))
    files = {}
    for part in draw(st.sampled_from([("train",), ("train", "test"), ("train", "unlabeled")])):
        words = random.integers(0, 400, (classes * texts, 7))
        table = pd.DataFrame({"text": [" ".join(f"w{n}" for n in row) for row in words]})
        table["label"] = [f"class {n % classes}" for n in range(len(table))]
        table = fault(table, random) if part == faulty else table
        if draw(st.booleans()):
            files[f"{part}.csv"] = table.to_csv(index=False).encode()
        else:
            files[f"{part}.jsonl"] = table.to_json(orient="records", lines=True).encode()
    return files


TAGGED_FAULTS = ["B-X", "I-X", "", "O\tO", "x", "\t", "# a comment", "-DOCSTART- O"]


@st.composite
def sentences(draw: st.DrawFn) -> dict[str, bytes]:
    """A file of sentences with tags, perhaps with an odd line in it."""
    rows = tiny.tagged_rows("aa", draw(st.integers(0, 40)), draw(st.integers(0, 99)))
    lines = [[f"{token} {tag}" for token, tag in zip(*row)] + [""] for row in rows]
    lines = [line for sentence in lines for line in sentence]
    if draw(st.integers(0, 3)) == 0:
        lines.insert(draw(st.integers(0, len(lines))), draw(st.sampled_from(TAGGED_FAULTS)))
    return {"train.conll": "\n".join(lines).encode()}


# ---- settings, as they are typed

TYPED = st.sampled_from(
    "0 -1 1 2 3 4 6 9 40 0.1 0.2 0.34 0.5 0.999 1.0 1.5 -0.5 nan inf -inf 1e-300 1e9 1e400 "
    "true [] [1] [[1]] {}  many 1,2 0,0 3,nan None 0x10 1_000 2**3 \x1b[31m \u202e ' \" / ~".split()
    + ["../x", "hub:", "", " ", "9" * 400, "a\nb", "\ud800", "[" * 300, "bbc", "wordnet", "all"]
)


@st.composite
def typed(draw: st.DrawFn, study: str) -> list[str]:
    """Up to three knobs of a study as a person might set them: mostly one of their own values."""
    known, default = (
        config.knobs(studies.plan_of(study).settings),
        studies.plan_of(study).settings(),
    )
    found = []
    for name in draw(st.lists(st.sampled_from([*known]), max_size=2, unique=True)):
        value = getattr(default, name)
        shown = ",".join(map(str, value)) if isinstance(value, tuple) else str(value)
        own = [*config.choices_of(known[name])] or [shown]
        value = draw(st.sampled_from(own) if draw(st.integers(0, 2)) else TYPED)
        found.append(f"{name}={value}")
    return found


SMALL = {"labels_per_class": 4, "labels_per_language": 3, "validation_share": 0.34, "test_size": 6}
SMALL |= {"transfer_size": 5, "test_per_language": 4, "transfer_per_language": 4}
SMALL |= {
    "corpus_texts": 12,
    "head_texts": 4,
    "choose_texts": 3,
    "train_texts": 12,
    "test_texts": 0,
}
SMALL |= {"languages": [], "head_texts": 4}
READ = {  # what a study first makes of its folders, and the knobs that name them
    "generation": ("splits", ("corpus",)),
    "transfer": ("splits", ("corpus",)),
    "tagging": ("splits", ("corpus",)),
    "mlm": ("texts", ("corpus", "mlm_corpora")),
    "paraphrase": ("parts", ("corpus", "domains", "mlm_corpora")),
    "understanding": ("tasks", ("tasks",)),
    "lexical": ("data", ("corpus",)),
}


@contextmanager
def no_hang(seconds: int) -> Iterator[None]:
    """An error after some seconds, which is so long that only a hang takes it."""

    def alarmed(*_: Any) -> None:
        raise AssertionError(f"not done after {seconds} seconds")

    before = signal.signal(signal.SIGALRM, alarmed)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def in_one_line(error: GdlibError) -> None:
    said = str(error)
    assert said.isprintable() and 10 < len(said) < 4_000, said


def check(read: Any, knobs: Any) -> None:
    """What was read can be studied: nothing is empty, no text stands in two parts."""
    if isinstance(read, SenseData):
        return
    if isinstance(read, dict):
        assert read
        for each in read.values():
            names = (
                ("train", "held_out", "test") if isinstance(each, Task) else ("originals", "spun")
            )
            assert all(len(getattr(each, name, each)) for name in names), each
        return
    assert len(read.train) and len(read.validation) and len(read.test)
    seen: set[str] = set()
    for part in read.parts.values():
        own = {normalise(text) for text in part.texts}
        assert not own & seen
        seen |= own
    labels = getattr(knobs, "labels_per_class", 0)
    if labels:
        assert np.bincount(read.labelled.labels).tolist() == [labels] * len(read.labels)
        assert len(read.labels) >= 2
        assert len(read.test) <= knobs.test_size and len(read.transfer) <= knobs.transfer_size


WEIGHED = sorted(["generation", "understanding", *set(READ) - {"lexical"}] * 3 + ["lexical"])
COUNTED = {"refused": 0, "read": 0}


DRAWN = {"deadline": None, "derandomize": True, "suppress_health_check": [*HealthCheck]}


@settings(max_examples=2_000, phases=[Phase.generate], **DRAWN)
@given(data=st.data())
def test_whatever_is_given_is_read_or_refused_in_a_line(
    tmp_path: Path, data: st.DataObject
) -> None:
    study = data.draw(st.sampled_from(WEIGHED))
    if data.draw(st.integers(0, 4)):
        files = data.draw(sentences() if study == "tagging" else tables())
    else:
        files = dict([data.draw(odd_files())])
    folder = tmp_path / "en"
    folder.mkdir(exist_ok=True)
    for other in folder.iterdir():
        other.unlink()
    for name, content in files.items():
        (folder / name).write_bytes(content)
    plan, (first, folders) = studies.plan_of(study), READ[study]
    own = str(tmp_path if study == "tagging" else folder)
    known = config.knobs(plan.settings)
    base = {knob: value for knob, value in SMALL.items() if knob in known}
    base |= {knob: own if knob == "corpus" else [own] for knob in folders}
    with no_hang(60), warnings.catch_warnings(action="ignore"):
        try:
            given_knobs = config.parse(plan.settings, data.draw(typed(study)))
            chosen = pipeline.settings_of(plan, "smoke", base | given_knobs)
            task = expand(plan, chosen)[0]
            made = studies.class_of(plan)(task.settings, Store(tmp_path / "store"))
            read = getattr(made, first)
        except GdlibError as error:
            COUNTED["refused"] += 1
            in_one_line(error)
            return
    COUNTED["read"] += 1
    check(read, task.settings)


def test_both_happened_often() -> None:
    """Else the cases would be all too hopeless, or all too tame."""
    print(COUNTED)
    assert min(COUNTED.values()) > 200, COUNTED


# ---- settings that trainings cannot do much with

WORK = {"steps": 12, "epochs": 3, "samples": 12, "tokens": 16, "parameters": 90_000, "dim": 24}
WORK |= {"batch": 40, "transfer_size": 60, "test_size": 60, "labels_per_class": 12}


@st.composite
def moved(draw: st.DrawFn) -> dict[str, float]:
    """One or two numbers of study 1 at an end of their range, near it, or far from the default."""
    known, default = config.knobs(Settings), Settings()
    numbers = [name for name in known if type(getattr(default, name)) in (int, float)]
    found = {}
    for name in draw(st.lists(st.sampled_from(numbers), min_size=1, max_size=2, unique=True)):
        least, most = known[name]["range"]
        most = min([most, *[end for part, end in WORK.items() if part in name]])
        if isinstance(getattr(default, name), int):
            found[name] = draw(st.sampled_from([least, least + 1, least + 2, min(most, 1000)]))
        else:
            near = [least, least + 1e-9, (least + min(most, 10)) / 2, min(most, 1e9)]
            found[name] = draw(st.sampled_from(near))
    return found


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Study 1 on tiny networks, and the folder of its store."""
    folder = tmp_path_factory.mktemp("small")
    knobs = tiny.generation_knobs(folder) | {"students": ("KimCNN",), "student_seeds": (0,)}
    knobs |= {"student_steps": 4, "student_parameters": 60_000, "test_size": 40}
    return knobs | {"arms": ("generation-distillation",), "sample_divisors": ()}


@pytest.mark.slow
@settings(max_examples=50, phases=[Phase.generate], **DRAWN)
@given(knobs=moved())
def test_trainings_end_in_finite_numbers_or_in_a_line(
    small: dict[str, Any], knobs: dict[str, float], tmp_path_factory: pytest.TempPathFactory
) -> None:
    store = Store(tmp_path_factory.getbasetemp() / "fuzzed")
    with no_hang(120), warnings.catch_warnings(action="ignore"):
        try:
            made = GenerationStudy(config.build(Settings, small | knobs), store)
            trained = [made.trained_teacher(), made.trained_generator(), *made.trained_students()]
            samples = made.samples()
        except GdlibError as error:
            in_one_line(error)
            return
    for artifact in trained:
        for file in artifact.path.glob("*.safetensors"):
            for name, tensor in load_file(file).items():
                assert torch.isfinite(tensor).all(), (file, name)
    assert set(samples["fate"]) <= {"kept", *funnel.FATES} and 1 <= len(samples) <= 20
    assert samples["confidence"].dropna().between(0, 1).all()
