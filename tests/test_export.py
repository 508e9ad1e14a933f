"""An exported student: the same answers as torch's, from files that need no torch."""

import copy
import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import pandas as pd
import pytest
import tiny
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import numpy_helper
from typer.testing import CliRunner

from gdlib.core.errors import GdlibError
from gdlib.networks import export, integers, students
from gdlib.networks.distillation import predict
from gdlib.networks.students import Vocabulary
from gdlib.run.cli import app
from gdlib.run.predict import BATCH, Exported
from gdlib.sources import zoo

LABELS = ("animals", "food <b>", "music")
LENGTH = 12
PADDED = ["[PAD]", "cat [PAD] dog [PAD]", "[PAD] horse"]  # a text may hold the padding's name
TEXTS = [*tiny.texts_of("animals", 70, 0), *PADDED, "", "zzz qqq", " ".join(["dog"] * 40)]


@pytest.fixture(scope="module", params=["KimCNN", "BlendCNN", "ResCNN"])
def exported(request, tmp_path_factory):
    """A student with random weights, its export, and its own calibrated probabilities."""
    folder = tmp_path_factory.mktemp("export")
    tokenizer = zoo.tokenizer(zoo.locate(str(tiny.encoder(folder / "encoder"))))
    pieces = students.encode(tokenizer, TEXTS, LENGTH)
    known = Vocabulary.seen(pieces, tokenizer.pad_token_id, tokenizer.unk_token_id, 15)
    torch.manual_seed(0)
    student = students.build(request.param, len(known), len(LABELS), 9000, 16, 0.3).eval()
    packed = export.Packed(student, known, 1.7, len(tokenizer))
    (folder / "out").mkdir()
    export.write(packed, tokenizer, LABELS, LENGTH, folder / "out")
    logits = predict(student, known.rows(pieces))
    return folder / "out", packed, known.rows(pieces), (logits / 1.7).softmax(-1).numpy()


def test_answers_are_torch_s_whatever_the_text_and_its_batch(exported):
    folder, packed, rows, expected = exported
    student = Exported(folder)
    assert len(TEXTS) > BATCH
    np.testing.assert_allclose(student.probabilities(TEXTS), expected, atol=1e-5)
    alone = np.concatenate([student.probabilities([text]) for text in TEXTS[-5:]])
    np.testing.assert_allclose(alone, expected[-5:], atol=1e-5)
    assert export.check(student.probabilities(TEXTS), packed, rows) < 1e-5
    assert expected.std() > 0.01, "answers that differ from text to text"


@pytest.mark.parametrize("exported", ["BlendCNN", "ResCNN"], indirect=True)
def test_eight_bits_are_close_and_smaller(exported):
    """Every weight lies within half a step of its row, and a step is a 127th of the row's largest;
    what is read from the file takes a quarter of the bytes.
    """
    folder, packed, _, expected = exported
    found = Exported(folder, small=True).probabilities(TEXTS)
    np.testing.assert_allclose(found, expected, atol=0.01)
    stored = {
        tensor.name: numpy_helper.to_array(tensor)
        for tensor in onnx.load(folder / export.SMALL).graph.initializer
    }
    weights = {n: p.detach().numpy() for n, p in packed.named_parameters() if p.ndim > 1}
    assert {name for name in stored if name.endswith(".int8")} == {f"{n}.int8" for n in weights}
    for name, weight in weights.items():
        small, rows = stored[f"{name}.int8"], weight.reshape(len(weight), -1)
        assert small.dtype == np.int8 and 4 * small.nbytes == weight.nbytes
        again = small.reshape(rows.shape) * stored[f"{name}.scale"][:, None]
        steps = np.abs(rows).max(axis=1, keepdims=True) / 127
        assert (np.abs(again - rows) <= 0.5001 * steps + 1e-9).all(), name


def rounded(student: students.KimCNN) -> students.KimCNN:
    """The same network in float64 with weights rounded by hand: the embedding to a 127th of its
    column's largest, kernels to a 63rd of their output's, the readout to a 127th.
    """
    made = copy.deepcopy(student).double()

    def to(weights: torch.Tensor, steps: int, over: tuple[int, ...]) -> tuple[torch.Tensor, ...]:
        unit = weights.abs().amax(over, keepdim=True) / steps
        return torch.round(weights / unit) * unit, unit

    with torch.no_grad():
        made.embedding.weight[:], column = to(made.embedding.weight, 127, (0,))
        for layer in made.convolutions:
            scaled = layer.weight * column.squeeze(0)[:, None]
            layer.weight[:] = to(scaled, 63, (1, 2))[0] / column.squeeze(0)[:, None]
        made.readout[-1].weight[:] = to(made.readout[-1].weight, 127, (1,))[0]
    return made


@pytest.mark.parametrize("exported", ["KimCNN"], indirect=True)
@pytest.mark.parametrize("extreme", [False, True], ids=["drawn", "the largest weights"])
def test_products_of_integers_are_those_of_the_rounded_weights(exported, extreme, tmp_path):
    """Nothing but the weights is rounded, whatever the padding beside a text; and no sum runs over
    where weights are as large as they can be.
    """
    folder, packed, rows, _ = exported
    packed = copy.deepcopy(packed)
    if extreme:
        student = packed.student
        with torch.no_grad():
            for weights in (student.embedding.weight[1:], student.convolutions[0].weight):
                weights.copy_(torch.where(weights < 0, -0.4, 0.4))
    onnx.save(integers.model(packed), tmp_path / export.SMALL)
    for name in (export.ABOUT, export.TOKENIZER):
        (tmp_path / name).write_bytes((folder / name).read_bytes())
    with torch.no_grad():
        logits = [rounded(packed.student)(torch.tensor([row]))[0] for row in rows]
    expected = (torch.stack(logits) / packed.temperature).softmax(-1).numpy()
    found = Exported(tmp_path, small=True).probabilities(TEXTS)
    np.testing.assert_allclose(found, expected, atol=2e-6)
    assert np.ptp(expected, axis=0).max() > 0.03, "answers that differ from text to text"
    stored = onnx.load(tmp_path / export.SMALL).graph.initializer
    sizes = [each.nbytes for each in map(numpy_helper.to_array, stored) if each.dtype == np.uint8]
    kernels = [layer.weight.numel() for layer in packed.student.convolutions]
    assert packed.student.embedding.weight.numel() in sizes
    assert {7 * -(-count // 8) for count in kernels} <= set(sizes), "seven bits a weight"


@pytest.mark.parametrize("exported", ["KimCNN"], indirect=True)
def test_integers_answer_nearly_as_float32_does(exported):
    folder, _, _, expected = exported
    found = Exported(folder, small=True).probabilities(TEXTS)
    np.testing.assert_allclose(found, expected, atol=0.01)


@settings(deadline=None)
@given(st.lists(st.integers(0, 127), max_size=40))
def test_seven_bits_hold_what_was_packed(numbers):
    packed = integers.seven_bits(np.array(numbers, dtype=np.uint8))
    assert packed.nbytes == 7 * -(-len(numbers) // 8)
    eighth = sum((packed[:, place].astype(int) >> 7) << place for place in range(7))
    found = np.column_stack([packed & 127, eighth]).ravel()
    assert found[: len(numbers)].tolist() == numbers and not found[len(numbers) :].any()


def test_another_student_is_refused(exported):
    folder, packed, rows, expected = exported
    with pytest.raises(GdlibError, match=r"^the exported student differs from torch's by 0\.\d$"):
        export.check(np.roll(expected, 1, axis=1) * 0.2, packed, rows)


def test_a_table_is_classified_without_torch(exported, tmp_path):
    folder, _, _, expected = exported
    pd.DataFrame({"id": range(5), "text": TEXTS[:5]}).to_csv(tmp_path / "texts.csv", index=False)
    code = (
        "import sys\nfrom gdlib.run.cli import app\n"
        f"app(['predict', {str(folder)!r}, 'texts.csv'], standalone_mode=False)\n"
        "print([name for name in ('torch', 'transformers') if name in sys.modules])"
    )
    said = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env={"PYTHONPATH": str(Path(__file__).parents[1]), "PATH": ""},
        capture_output=True,
        text=True,
    )
    assert said.stdout.splitlines()[-1] == "[]", said.stderr
    assert said.stdout.startswith("predictions.csv: 5 texts, ")
    found = pd.read_csv(tmp_path / "predictions.csv")
    assert found.columns.tolist() == ["id", "text", "class", *(f"p({name})" for name in LABELS)]
    np.testing.assert_allclose(found.iloc[:, 3:], expected[:5], atol=1e-5)
    assert found["class"].tolist() == [LABELS[best] for best in expected[:5].argmax(1)]


def test_what_is_no_export_and_no_table_is_said(exported, tmp_path):
    folder, *_ = exported
    (tmp_path / "t.csv").write_text("words\na\n")
    (tmp_path / "none.csv").write_text("text\n")

    def said(*arguments: object) -> str:
        result = CliRunner().invoke(app, ["predict", *map(str, arguments)])
        assert result.exit_code == 2
        return result.output

    assert f'no student.onnx in "{tmp_path}"; gdlib export writes one' in said(
        tmp_path, tmp_path / "t.csv"
    )
    assert 't.csv has no column "text"; found: words' in said(folder, tmp_path / "t.csv")
    assert "none.csv holds no texts" in said(folder, tmp_path / "none.csv")
    (tmp_path / "texts.csv").write_text("text\na\n")
    (tmp_path / "predictions.csv").write_text("text\na\n")
    (tmp_path / "again.csv").write_text("text,class\na,b\n")
    pd.DataFrame({"text": ["a", None, " "]}).to_parquet(tmp_path / "gaps.parquet")
    assert "predictions.csv holds the texts; choose another" in said(
        folder, tmp_path / "predictions.csv"
    )
    assert 'again.csv has a column "class" already' in said(folder, tmp_path / "again.csv")
    assert "gaps.parquet has 2 empty texts, the first in row 2" in said(
        folder, tmp_path / "gaps.parquet"
    )
    (tmp_path / "t.txt").write_text("a")
    assert "t.txt: expected a file that ends in .parquet, .csv, .tsv, .jsonl" in said(
        folder, tmp_path / "t.txt"
    )
    for out in ("o.parquet", "nowhere/o.csv"):
        assert "expected a name that ends in .csv, in a folder that is there" in said(
            folder, tmp_path / "texts.csv", "--out", tmp_path / out
        )


@pytest.mark.parametrize("name", ["student.json", "tokenizer.json", "student.onnx"])
def test_a_damaged_export_is_said(exported, tmp_path, name):
    shutil.copytree(exported[0], tmp_path / "student")
    (tmp_path / "student" / name).write_text("{")
    with pytest.raises(GdlibError, match=r'student" is damaged \(.+\); export the student again$'):
        Exported(tmp_path / "student")


def test_what_it_reads_with_says_what_it_needs(exported):
    folder, *_ = exported
    about = json.loads((folder / "student.json").read_text("utf-8"))
    assert about["labels"] == list(LABELS) and about["temperature"] == 1.7
    reads = Exported(folder).tokenizer
    assert len(reads.encode(TEXTS[-1]).ids) == LENGTH
    assert reads.encode("").ids == [] and about["padding"] != about["unknown"]
