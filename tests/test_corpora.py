"""Corpora: the embedded ones as they really are, folders in every format, and every error by its
text.
"""

import json
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path

import datasets
import pandas as pd
import pytest

from gdlib.core.errors import BadCorpus, BadDownload, UnknownName
from gdlib.run.catalogue import shelves
from gdlib.sources import senses, tables, tagged, tasks
from gdlib.sources.cards import CARDS, Card
from gdlib.sources.corpora import build, load

ROWS = [("good film", "positive"), ("bad film", "negative"), ("fine, really", "positive")]
TABLE = pd.DataFrame(ROWS, columns=["text", "label"])


def write(folder: Path, name: str, table: pd.DataFrame = TABLE) -> None:
    folder.mkdir(exist_ok=True)
    path = folder / name
    match path.suffix:
        case ".csv":
            table.to_csv(path, index=False)
        case ".tsv":
            table.to_csv(path, index=False, sep="\t")
        case ".jsonl":
            path.write_text(
                "".join(json.dumps(row) + "\n" for row in table.to_dict("records")), "utf-8"
            )
        case ".parquet":
            table.to_parquet(path, index=False)


# what loads


@pytest.mark.parametrize("suffix", [".csv", ".tsv", ".jsonl", ".parquet"])
def test_a_folder_in_every_format_gives_the_same_corpus(tmp_path: Path, suffix: str) -> None:
    for split in ("train", "test", "dev", "unlabelled"):
        write(tmp_path / "films", f"{split}{suffix}")
    corpus = load(str(tmp_path / "films"))
    assert (corpus.name, corpus.labels) == ("films", ("negative", "positive"))
    assert list(corpus.parts) == ["train", "test", "validation", "unlabeled"]
    assert corpus.parts["train"].texts == ["good film", "bad film", "fine, really"]
    assert corpus.parts["train"].labels == [1, 0, 1]
    assert corpus.parts["unlabeled"].labels == []
    assert corpus.digest == build("any", dict.fromkeys(tables.SPLITS, TABLE)).digest


def test_words_like_na_stay_texts_and_line_breaks_and_quotes_survive_csv(tmp_path: Path) -> None:
    write(
        tmp_path,
        "train.csv",
        pd.DataFrame({"text": ["NA", 'null "x",\ny'], "label": ["None", "nan"]}),
    )
    corpus = load(str(tmp_path))
    assert corpus.parts["train"].texts == ["NA", 'null "x",\ny']
    assert corpus.labels == ("None", "nan")


def test_integer_labels_are_ordered_as_numbers(tmp_path: Path) -> None:
    table = pd.DataFrame({"text": list("abcd"), "label": [10, 2, 1, 10]})
    for name in ("train.csv", "test.parquet"):
        write(tmp_path, name, table)
    corpus = load(str(tmp_path))
    assert corpus.labels == ("1", "2", "10")
    assert corpus.parts["train"].labels == corpus.parts["test"].labels == [2, 1, 0, 2]


def test_several_files_of_a_split_are_read_in_order_and_other_files_ignored(tmp_path: Path) -> None:
    write(tmp_path, "train-00001-of-00002.csv", TABLE[2:])
    write(tmp_path, "train-00000-of-00002.parquet", TABLE[:2])
    write(tmp_path, "test-results.csv", pd.DataFrame({"score": [1]}))
    corpus = load(str(tmp_path))
    assert list(corpus.parts) == ["train"]
    assert corpus.parts["train"].texts == TABLE["text"].tolist()


def test_class_names_that_datasets_wrote_into_parquet_are_used(tmp_path: Path) -> None:
    features = datasets.Features(
        {"text": datasets.Value("string"), "label": datasets.ClassLabel(names=["zero", "2", "1"])}
    )
    rows = {"text": ["a", "b", "c"], "label": [2, 1, 0]}
    datasets.Dataset.from_dict(rows, features=features).to_parquet(str(tmp_path / "train.parquet"))
    corpus = load(str(tmp_path))
    assert corpus.labels == ("zero", "2", "1")
    assert corpus.parts["train"].labels == [2, 1, 0]


def test_a_test_split_with_withheld_labels_is_left_out() -> None:
    corpus = build("glue", {"train": TABLE, "test": TABLE.assign(label=-1)})
    assert list(corpus.parts) == ["train"]


def test_the_digest_is_of_the_content() -> None:
    base = build("a", {"train": TABLE})
    assert build("b", {"train": TABLE}).digest == base.digest
    assert build("a", {"train": TABLE[::-1]}).digest != base.digest
    assert (
        build("a", {"train": TABLE.assign(label=["negative", "negative", "positive"])}).digest
        != base.digest
    )
    assert build("a", {"train": TABLE, "test": TABLE}).digest != base.digest


@pytest.fixture
def local_hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that ``datasets.load_dataset`` reads as it reads a repository of the hub."""
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", str(tmp_path / "cache"))
    return tmp_path / "repository"


def test_a_hub_data_set_of_titles_and_bodies(local_hub: Path) -> None:
    table = pd.DataFrame(
        {"label": ["b", "a"], "title": ["Head", " One "], "content": ["body text", None]}
    )
    write(local_hub, "train.jsonl", table)
    write(local_hub, "test.jsonl", table)
    corpus = load(f"hub:{local_hub}")
    assert corpus.labels == ("a", "b")
    assert corpus.parts["train"].texts == ["Head. body text", "One"]
    assert corpus.parts["test"].labels == [1, 0]


def test_a_hub_data_set_without_texts_says_its_columns(local_hub: Path) -> None:
    write(local_hub, "train.csv", TABLE.rename(columns={"text": "sentence"}))
    with pytest.raises(BadCorpus, match=r'train has no column "text"; found: sentence, label'):
        load(f"hub:{local_hub}")


def test_a_hub_data_set_that_is_not_there() -> None:
    with pytest.raises(
        BadDownload,
        match=r'corpus "hub:/no/such/thing" cannot be fetched from the hub: .*network and the name',
    ):
        load("hub:/no/such/thing")


# one more corpus is one more card


def test_a_card_from_outside_is_a_corpus_a_task_and_listed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GDLIB_CACHE", str(tmp_path))
    letters = pd.DataFrame({"text": [f"letter {i}" for i in range(30)], "label": ["a", "b"] * 15})
    read = lambda: {"train": letters, "test": letters[:4].assign(text=list("wxyz"))}  # noqa: E731
    card = Card("letters: a, b", "my drawer", "CC0", {"texts": read}, "2 classes, 30 texts")
    monkeypatch.setitem(CARDS, "mine", card)
    corpus = load("mine")
    assert (corpus.name, corpus.labels) == ("mine", ("a", "b"))
    assert corpus.parts["test"].texts == list("wxyz")
    assert len(tasks.load("mine", tasks.Sizes(20, 0.2, 0), seed=0).train) == 16
    assert tables.fetch_card("mine") == 34
    assert shelves("generation")["corpora"][1]["mine"] == (
        "letters: a, b [2 classes, 30 texts; my drawer; licence: CC0]"
    )


def test_senses_and_tagged_sentences_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    row = {"tokens": ["a", "bank"], "target": 1, "lemma": "bank", "pos": "noun"}
    words = pd.DataFrame([row | {"sense_keys": ["bank%1:17:01::"]}])
    sets = dict.fromkeys(("train", "validation", "mine"), words)
    names = pd.DataFrame({"tokens": [["in", "Oslo"]], "ner_tags": [["O", "B-LOC"]]})
    readers = {"senses": lambda: sets, "tagged": lambda _language: names}
    monkeypatch.setitem(CARDS, "mine", Card("both", "me", "CC0", readers, languages=("no",)))
    assert list(senses.load("mine", seed=0).tests) == ["mine"]
    assert tagged.load("mine").parts["train"].tags == [[0, 1]]


def test_naming_what_there_is_loads_neither_torch_nor_pandas() -> None:
    code = (
        "import sys, gdlib.sources.cards, gdlib.sources.zoo, gdlib.sources.networks\n"
        "assert not {'torch', 'transformers', 'pandas', 'pyarrow'} & set(sys.modules)\n"
        "import gdlib.sources.corpora, gdlib.sources.tasks, gdlib.sources.tagged\n"
        "assert not {'torch', 'transformers', 'datasets'} & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


# errors, each by its text


def refused(message: str, **tables: pd.DataFrame) -> None:
    with pytest.raises(BadCorpus, match=f"^{re.escape(message)}$"):
        build("films", tables)


def test_missing_column() -> None:
    refused(
        'corpus films: train has no column "label"; found: text, score',
        train=TABLE.rename(columns={"label": "score"}),
    )
    refused(
        'corpus films: test has no column "text"; found: label', train=TABLE, test=TABLE[["label"]]
    )


def test_empty_table() -> None:
    refused("corpus films: test is empty (no row)", train=TABLE, test=TABLE[:0])


def test_one_class_only() -> None:
    refused(
        'corpus films: train has one class only ("positive"); expected two or more',
        train=TABLE.assign(label="positive"),
    )


def test_empty_texts() -> None:
    holes = pd.DataFrame({"text": ["a", "  ", "b", None], "label": list("xyxy")})
    refused(
        "corpus films: train has 2 empty texts, the first in row 2 (the header not counted)",
        train=holes,
    )
    message = (
        "corpus films: unlabeled has 2 empty texts, the first in row 2 (the header not counted)"
    )
    refused(message, train=TABLE, unlabeled=holes)


def test_text_that_is_no_text() -> None:
    refused(
        'corpus films: train: column "text" holds int in row 1, expected text',
        train=TABLE.assign(text=7),
    )


def test_texts_without_a_label() -> None:
    bare = TABLE.assign(label=["x", None, float("nan")])
    refused(
        (
            "corpus films: train has 2 texts without a label, the first in row 2 (the header "
            "not counted)"
        ),
        train=bare,
    )


def test_label_in_test_that_train_lacks() -> None:
    message = (
        'corpus films: test has the label "neutral" that train lacks; labels of train: '
        "negative, positive"
    )
    refused(message, train=TABLE, test=TABLE.assign(label=["positive", "neutral", "neutral"]))
    with pytest.raises(BadCorpus, match=message):
        build(
            "films",
            {"train": TABLE, "test": TABLE.assign(label=1)},
            names=("negative", "neutral", "positive"),
        )


def test_label_beyond_the_class_names() -> None:
    with pytest.raises(BadCorpus, match='train has the label "7" that has no name'):
        build(
            "films",
            {"train": TABLE.assign(label=[0, 1, 7])},
            names=("negative", "positive"),
        )


def test_no_train_split() -> None:
    refused("corpus films has no train split; found: test", test=TABLE)


def test_unknown_name() -> None:
    with pytest.raises(
        UnknownName,
        match=(
            r'^unknown corpus "bbcc"; did you mean "bbc"\? known: bbc, movies, wordnet '
            r"\(or a folder, or hub:NAME\)$"
        ),
    ):
        load("bbcc")


def test_folder_that_does_not_exist(tmp_path: Path) -> None:
    with pytest.raises(
        BadCorpus,
        match=r"corpus folder .*/nowhere does not exist; known corpora: bbc, movies, wordnet",
    ):
        load(str(tmp_path / "nowhere"))


def test_folder_without_splits(tmp_path: Path) -> None:
    write(tmp_path, "texts.csv")
    message = (
        "has no train split: found texts.csv; expected train, and perhaps test, validation, "
        "unlabeled, as .parquet, .csv"
    )
    with pytest.raises(BadCorpus, match=message):
        load(str(tmp_path))


def test_single_file(tmp_path: Path) -> None:
    write(tmp_path, "train.csv")
    with pytest.raises(
        BadCorpus,
        match=(
            r"train.csv is a single file; expected a folder with "
            r"train\{.parquet,.csv,.tsv,.jsonl\}"
        ),
    ):
        load(str(tmp_path / "train.csv"))


def test_empty_file(tmp_path: Path) -> None:
    (tmp_path / "train.csv").write_bytes(b"")
    with pytest.raises(BadCorpus, match=r"train.csv is empty$"):
        load(str(tmp_path))


@pytest.mark.parametrize("suffix", [".csv", ".tsv", ".jsonl"])
def test_wrong_encoding(tmp_path: Path, suffix: str) -> None:
    (tmp_path / f"train{suffix}").write_bytes("text,label\ncafé,x\n".encode("latin-1"))
    with pytest.raises(
        BadCorpus, match=rf"train{suffix} is not UTF-8: byte 0xe9 at position 14; save it as UTF-8$"
    ):
        load(str(tmp_path))


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("train.parquet", b"PAR1 not really", "train.parquet cannot be read as parquet: "),
        ("train.csv", b'text,label\n"a,b\n', "train.csv cannot be read as csv: "),
        ("train.jsonl", b'{"text": "a", "label": 1}\n{"text": \n', "train.jsonl, line 2: no JSON"),
        ("train.jsonl", b'"text"\n', "train.jsonl, line 1: expected an object like"),
    ],
)
def test_damaged_file(tmp_path: Path, name: str, content: bytes, message: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(BadCorpus, match=message):
        load(str(tmp_path))


# the embedded corpora, as they really are


def test_wordnet_is_carried_and_parsed_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GDLIB_CACHE", str(tmp_path))
    first = load("wordnet")
    monkeypatch.setattr(pd.DataFrame, "to_parquet", lambda *_, **__: pytest.fail("parsed again"))
    assert load("wordnet").digest == first.digest
    counts = Counter(first.labels[label] for label in first.parts["train"].labels)
    assert len(first.parts["train"]) == 69_885
    assert counts.most_common()[0] == ("artifact", 11_412)
    assert counts.most_common()[-1] == ("body", 1_993)
    assert len(counts) == 14


@pytest.mark.real
def test_bbc_as_downloaded() -> None:
    corpus = load("bbc")
    part = corpus.parts["train"]
    assert corpus.labels == ("business", "entertainment", "politics", "sports", "tech")
    assert Counter(part.labels) == {0: 503, 1: 369, 2: 403, 3: 505, 4: 347}
    assert len(part) == 2_127
    assert part.texts[0].startswith(
        "Ad sales boost Time Warner profit. Quarterly profits at US media giant TimeWarner "
        "jumped 76%"
    )
    assert "$1.13bn (£600m)" in part.texts[0]
    assert not any("Â£" in text for text in part.texts)


@pytest.mark.real
def test_movies_as_downloaded() -> None:
    corpus = load("movies")
    assert corpus.labels == ("negative", "positive")
    assert Counter(corpus.parts["train"].labels) == {0: 5_076, 1: 4_996}
    assert len(corpus.parts["train"]) == 10_072
