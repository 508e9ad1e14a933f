"""Trained students as data that a web page computes with: 8-bit weights, and the word pieces they
read. ``templates/student.js`` is the other half.
"""

import base64
import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from torch import Tensor
from transformers import PreTrainedTokenizerBase

from gdlib.networks.export import Packed, scaled_rows
from gdlib.networks.students import BlendCNN, KimCNN, ResCNN

FAMILIES = (KimCNN, BlendCNN, ResCNN)
"""Whose forward pass the script knows."""


def can_read(tokenizer: PreTrainedTokenizerBase) -> bool:
    """Whether the script can read as this tokenizer does: BERT's word pieces, in lower case."""
    whole = json.loads(tokenizer.backend_tokenizer.to_str())
    kinds = [(whole[part] or {}).get("type") for part in ("normalizer", "pre_tokenizer", "model")]
    if kinds != ["BertNormalizer", "BertPreTokenizer", "WordPiece"]:
        return False
    steps = whole["normalizer"]
    wanted = ("clean_text", "handle_chinese_chars", "lowercase")
    return all(steps[step] for step in wanted) and steps["strip_accents"] is not False


def payload(
    students: Mapping[str, Packed],
    tokenizer: PreTrainedTokenizerBase,
    labels: Sequence[str],
    max_length: int,
) -> dict[str, Any]:
    """Everything that a page needs, JSON-able.

    Args:
        students: by the name that the page shows; all of them know the same pieces.
        tokenizer: of the teacher; see :func:`can_read`.
        labels: the classes.
        max_length: pieces per text, cut beyond.
    """
    model = json.loads(tokenizer.backend_tokenizer.to_str())["model"]
    pieces = [""] * len(tokenizer)  # by their ids
    for piece, place in model["vocab"].items():
        pieces[place] = piece
    first = next(iter(students.values()))
    return {
        "pieces": pieces,
        "rows": _encoded(first.rows.numpy().astype("<i4")),
        "unknown": model["unk_token"],
        "longest": model["max_input_chars_per_word"],
        "joined": model["continuing_subword_prefix"],
        "max_length": max_length,
        "labels": list(labels),
        "students": [_packed(name, each) for name, each in students.items()],
    }


def _packed(name: str, packed: Packed) -> dict[str, Any]:
    (family,) = [each.__name__ for each in FAMILIES if isinstance(packed.student, each)]
    tensors = {place: _tensor(value) for place, value in packed.student.state_dict().items()}
    return {
        "name": name,
        "family": family,
        "temperature": packed.temperature,
        "tensors": tensors,
    }


def _tensor(weights: Tensor) -> dict[str, Any]:
    """A bias as it is; a matrix or a convolution in 8 bits, with the scales of its rows."""
    shape = list(weights.shape)
    if weights.dim() == 1:
        return {"shape": shape, "values": _encoded(weights.numpy().astype("<f4"))}
    values, scale = scaled_rows(weights.numpy())
    return {"shape": shape, "values": _encoded(values), "scale": _encoded(scale.astype("<f4"))}


def _encoded(numbers: np.ndarray) -> str:
    return base64.b64encode(numbers.tobytes()).decode("ascii")
