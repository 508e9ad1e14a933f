"""A trained student as files that need no torch: ONNX beside the tokenizer it reads with."""

import json
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn

from gdlib.core.errors import GdlibError
from gdlib.networks import integers
from gdlib.networks.students import UNKNOWN, KimCNN, Student, Vocabulary

if TYPE_CHECKING:  # it takes as long to import as torch
    from transformers import PreTrainedTokenizerBase

FULL, SMALL = "student.onnx", "student.int8.onnx"
TOKENIZER, ABOUT = "tokenizer.json", "student.json"
CLOSE = 1e-4
"""Largest difference between the probabilities of torch and of ONNX in float32."""


class Packed(nn.Module):
    """A student that reads the ids of its teacher's tokenizer and answers with calibrated
    probabilities.

    Args:
        student: the network.
        vocabulary: the pieces that it knows.
        temperature: its logits are divided by it.
        pieces: the number of the tokenizer's pieces.
    """

    def __init__(self, student: Student, vocabulary: Vocabulary, temperature: float, pieces: int):
        super().__init__()
        narrow = torch.int16 if len(vocabulary) < 2**15 else torch.int32  # a twentieth of the file
        rows = torch.full((pieces,), UNKNOWN, dtype=narrow)
        rows[list(vocabulary.teacher_ids)] = torch.arange(len(vocabulary), dtype=narrow)
        self.student, self.vocabulary, self.temperature = student, vocabulary, temperature
        self.register_buffer("rows", rows)

    def forward(self, ids: Tensor) -> Tensor:
        """*Shape:* ids ``[texts, length]``, padded with the tokenizer's padding -> probabilities
        ``[texts, classes]``.
        """
        return (self.student(self.rows[ids].int()) / self.temperature).softmax(dim=-1)


def write(
    packed: Packed,
    tokenizer: "PreTrainedTokenizerBase",
    labels: Sequence[str],
    max_length: int,
    folder: Path,
) -> None:
    """Write a student in float32 and with weights of 8 bits (:mod:`gdlib.networks.integers` where
    it can be), its tokenizer, and what both need to know.

    Raises:
        GdlibError: the packages of the extra ``export`` are not installed.
    """
    try:
        import onnx
        import onnxscript  # noqa: F401  torch's exporter needs it
    except ImportError as error:
        raise GdlibError(f'{error.name} is missing; first: pip install "gdlib[export]"') from None
    example = torch.full((2, 7), packed.rows.shape[0] - 1)  # any sizes: both are left open
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the exporter's own parts
        program = torch.onnx.export(
            packed.eval(),
            (example,),
            input_names=["input_ids"],
            output_names=["probabilities"],
            dynamic_shapes=({0: "texts", 1: "pieces"},),
            dynamo=True,
            optimize=False,  # which would fold small weights, and onnxruntime does it at loading
            verbose=False,
        )
    program.save(folder / FULL)
    model = bare(onnx.load(folder / FULL))
    onnx.save(model, folder / FULL)
    is_kim = type(packed.student) is KimCNN
    onnx.save(integers.model(packed) if is_kim else eight_bits(model), folder / SMALL)
    _write_tokenizer(tokenizer, max_length, folder / TOKENIZER)
    about = {"labels": list(labels), "padding": tokenizer.pad_token_id}
    about |= {"unknown": tokenizer.unk_token_id, "temperature": packed.temperature}
    (folder / ABOUT).write_text(json.dumps(about, indent=1, ensure_ascii=False), "utf-8")


def bare(model: Any) -> Any:
    """An ONNX model without the exporter's notes (where in whose source each node was), changed in
    place.
    """
    graph = model.graph
    del model.metadata_props[:], graph.metadata_props[:], graph.value_info[:]
    for part in (*graph.node, *graph.initializer, *graph.input, *graph.output):
        del part.metadata_props[:]
    return model


def eight_bits(model: Any) -> Any:
    """An ONNX model with its matrices and convolutions as 8-bit integers, changed in place.

    The weights alone, because onnxruntime makes them float32 again when it loads the file, and
    then answers as fast as from that one; convolutions of integers take twice the time.
    """
    from onnx import helper, numpy_helper

    graph = model.graph
    for tensor in list(graph.initializer):
        weight, name = numpy_helper.to_array(tensor), tensor.name
        if weight.dtype != np.float32 or weight.ndim < 2:
            continue
        small = dict(zip((".int8", ".scale"), scaled_rows(weight), strict=True))
        graph.initializer.remove(tensor)
        graph.initializer.extend(numpy_helper.from_array(v, name + of) for of, v in small.items())
        inputs = [name + of for of in small]
        graph.node.insert(0, helper.make_node("DequantizeLinear", inputs, [name], axis=0))
    return model


def scaled_rows(weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Weights as 8-bit integers, every row (of an embedding a piece, of a layer an output) scaled
    by its largest weight: the error of a weight stays below 1/254 of that.

    Returns:
        The integers. *Shape:* as ``weights``. The scales, float32. *Shape:* ``[rows]``.
    """
    rows = weights.reshape(len(weights), -1)
    scale = np.maximum(np.abs(rows).max(axis=1), 1e-30, dtype=np.float32) / np.float32(127)
    return np.rint(rows / scale[:, None]).astype(np.int8).reshape(weights.shape), scale


def _write_tokenizer(tokenizer: "PreTrainedTokenizerBase", max_length: int, path: Path) -> None:
    """The tokenizer as students read: cut at ``max_length`` pieces, and no special ones."""
    from tokenizers import Tokenizer
    from tokenizers.processors import TemplateProcessing

    own = Tokenizer.from_str(tokenizer.backend_tokenizer.to_str())
    own.post_processor = TemplateProcessing(single="$A", pair="$A $B", special_tokens=[])
    own.enable_truncation(max_length)
    own.no_padding()
    own.save(str(path))


def check(exported: np.ndarray, packed: Packed, rows: Sequence[Sequence[int]]) -> float:
    """The largest difference of the exported student's probabilities from the student's own.

    Args:
        exported: what the float32 file answers on some texts. *Shape:* ``[texts, classes]``.
        packed: the student.
        rows: the same texts in rows of its vocabulary.

    Raises:
        GdlibError: they differ by more than :data:`CLOSE`.
    """
    from gdlib.networks.distillation import predict

    own = (predict(packed.student, rows) / packed.temperature).softmax(dim=-1).numpy()
    difference = float(np.abs(exported - own).max())
    if difference > CLOSE:
        raise GdlibError(f"the exported student differs from torch's by {difference:.1g}")
    return difference
