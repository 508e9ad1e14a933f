"""An exported student at work, with onnxruntime and tokenizers alone: no torch is loaded."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from gdlib.core.errors import GdlibError, first_line

BATCH = 8  # on a processor little padding saves more than a larger batch does


class Exported:
    """The student in a folder that ``gdlib export`` has written.

    Args:
        folder: the folder.
        small: take the file with 8-bit weights.
        threads: of onnxruntime.

    Raises:
        GdlibError: the folder holds no exported student or a damaged one, or onnxruntime is not
            installed.
    """

    def __init__(self, folder: Path, *, small: bool = False, threads: int = 1):
        file = folder / ("student.int8.onnx" if small else "student.onnx")
        if not file.is_file():
            raise GdlibError(f'no {file.name} in "{folder}"; gdlib export writes one')
        try:
            import onnxruntime
        except ImportError:
            message = 'onnxruntime is missing; first: pip install "gdlib[export]"'
            raise GdlibError(message) from None
        from tokenizers import Tokenizer

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads, options.log_severity_level = threads, 3
        # Else the weights of 8 bits would be made float32 at every call, and not once.
        options.add_session_config_entry("session.disable_quant_qdq", "1")
        try:
            self.about: dict[str, Any] = json.loads((folder / "student.json").read_text("utf-8"))
            self.tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
            self.session = onnxruntime.InferenceSession(file, options)
        except Exception as error:  # each library has errors of its own
            why = f'"{folder}" is damaged ({first_line(error)}); export the student again'
            raise GdlibError(why) from None

    @property
    def labels(self) -> list[str]:
        return self.about["labels"]

    def probabilities(self, texts: Sequence[str]) -> np.ndarray:
        """Calibrated probabilities. *Shape:* ``[texts, classes]``."""
        unknown, padding = self.about["unknown"], self.about["padding"]
        encoded = [each.ids or [unknown] for each in self.tokenizer.encode_batch_fast(list(texts))]
        answers = np.zeros((len(encoded), len(self.labels)), dtype=np.float32)
        order = sorted(range(len(encoded)), key=lambda row: len(encoded[row]))  # little padding
        for start in range(0, len(order), BATCH):
            rows = order[start : start + BATCH]
            ids = np.full((len(rows), len(encoded[rows[-1]])), padding, dtype=np.int64)
            for place, row in enumerate(rows):
                ids[place, : len(encoded[row])] = encoded[row]
            (answers[rows],) = self.session.run(None, {"input_ids": ids})
        return answers
