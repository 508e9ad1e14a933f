"""Tensors in a file (safetensors) with notes in its header; what is equal has equal bytes."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor


def save(file: Path, tensors: Mapping[str, Tensor], **notes: Any) -> None:
    """Write tensors by name, and JSON-able notes.

    The notes are one entry of the header: several would stand in an order that is drawn anew in
    every process.
    """
    contiguous = {name: tensor.contiguous() for name, tensor in tensors.items()}
    save_file(contiguous, file, {"notes": json.dumps(notes)})


def load(file: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """The tensors, and the notes."""
    with safe_open(file, "pt") as opened:
        tensors = {name: opened.get_tensor(name) for name in opened.keys()}
        return tensors, json.loads(opened.metadata()["notes"])
