"""Files that are not what they should be: whatever a folder holds gives a corpus or one line."""

import os
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from gdlib.core.errors import GdlibError
from gdlib.sources import corpora, tables, tagged, tasks

SIZES = tasks.Sizes(0, 0.2, 0)
LONE = b'{"text": "half \\ud83d", "label": "a"}'
DEEP = b'{"text": ' + b"[" * 100_000
LONG = b'{"text": "a", "label": ' + b"7" * 5_000 + b"}"


def refused(load: Any, message: str) -> None:
    """It is refused with a message of one line, which fits the pattern."""
    with pytest.raises(GdlibError, match=message) as error:
        load()
    assert "\n" not in str(error.value)


# ---- tables of texts


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("train.csv", b"text,label\nfine, really,good\nbad,bad\n", r"row 1 .* has 3 fields, the h"),
        (
            "train.csv",
            b'text,label\n"a\nb",x\n\nc,d,y\n',
            r"row 2 \(the header not counted\) has 3",
        ),
        (
            "unlabeled.csv",
            b"text\none, two\n",
            r'unlabeled.csv: row 1 .*2 fields.*"," needs quotes',
        ),
        ("train.tsv", b"text\tlabel\na\tb\tc\n", "train.tsv: row 1 .* has 3 fields, the header 2"),
        ("train.csv", b"text,text\na,b\n", 'train has no column "label"; found: text, text.1'),
        ("train.jsonl", LONE, r"train.jsonl, line 1: \\ud83d is half a character; expected both"),
        ("train.jsonl", DEEP, "train.jsonl, line 1: no row of a table .maximum recursion depth"),
        ("train.jsonl", LONG, "train.jsonl, line 1: no row of a table .Exceeds the limit"),
        (
            "train.jsonl",
            b'{"text": "a", "label": 1e999}',
            'train: column "label" holds inf in row 1, expected a name or a finite number',
        ),
        ("train.jsonl", b'{"text": "a", "label": ' + b"9" * 400 + b"}", "holds int in row 1"),
        ("train.jsonl", b'{"text": {"en": "a"}, "label": 1}', '"text" holds dict in row 1'),
    ],
)
def test_a_file_of_texts_that_is_refused(
    tmp_path: Path, name: str, content: bytes, message: str
) -> None:
    if not name.startswith("train"):
        (tmp_path / "train.csv").write_bytes(b"text,label\na,x\nb,y\n")
    (tmp_path / name).write_bytes(content)
    refused(lambda: corpora.load(str(tmp_path)), message)


def test_a_header_with_an_empty_name_and_rows_that_end_in_a_separator(tmp_path: Path) -> None:
    (tmp_path / "train.csv").write_text("text,label,\na,x,\nb,y,\n")
    assert corpora.load(str(tmp_path)).parts["train"].texts == ["a", "b"]


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        ([["a"], ["b", "c"]], "list"),
        ([np.array([1, 2]), np.array([3])], "list"),
        ([{"name": "a"}, {"name": "b"}], "dict"),
        ([b"a", b"b"], "bytes"),
        ([1.0, float("-inf")], "-inf"),
        (["a", pd.Timestamp("2020-01-01")], "Timestamp"),
    ],
)
def test_labels_that_are_no_names_are_refused(values: list[Any], kind: str) -> None:
    table = pd.DataFrame({"text": ["one", "two"], "label": values})
    pattern = rf'column "label" holds {kind} in row [12], expected a name or a finite number$'
    refused(lambda: corpora.build("odd", {"train": table}), f"^corpus odd: train: {pattern}")
    refused(lambda: tasks._corpus("odd", {"train": table}), f"^task odd: train: {pattern}")


def test_a_split_that_is_there_twice_is_refused(tmp_path: Path) -> None:
    table = pd.DataFrame({"text": ["one", "two"], "label": ["a", "b"]})
    table.to_csv(tmp_path / "train.csv", index=False)
    table.to_csv(tmp_path / "dev.csv", index=False)
    assert set(corpora.load(str(tmp_path)).parts) == {"train", "validation"}
    message = "has {} more than once: {}; expected one file, or parts with numbers such as {}-0"
    table.to_parquet(tmp_path / "train.parquet")
    pattern = message.format("train", "train.csv, train.parquet", "train")
    refused(lambda: corpora.load(str(tmp_path)), pattern)
    (tmp_path / "train.csv").rename(tmp_path / "train-0.csv")
    pattern = message.format("train", "train-0.csv, train.parquet", "train")
    refused(lambda: corpora.load(str(tmp_path)), pattern)
    (tmp_path / "train.parquet").rename(tmp_path / "train-1.parquet")
    assert len(corpora.load(str(tmp_path)).parts["train"]) == 4
    table.to_csv(tmp_path / "validation.csv", index=False)
    pattern = message.format("validation", "dev.csv, validation.csv", "validation")
    refused(lambda: corpora.load(str(tmp_path)), pattern)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
def test_a_folder_of_somebody_else_is_refused(tmp_path: Path) -> None:
    (tmp_path / "texts").mkdir(mode=0o700)
    os.seteuid(65534)
    try:
        message = "folder .*/texts cannot be read: Permission denied$"
        refused(lambda: tables.files_by_split(tmp_path / "texts"), message)
    finally:
        os.seteuid(0)


def test_a_task_s_targets_are_finite_numbers(tmp_path: Path) -> None:
    train = pd.DataFrame({"text": list("abcdef"), "score": [1.5, 2, 3, 4, 5, 6]})
    train.to_csv(tmp_path / "train.csv", index=False)
    for value in ("high", "inf"):
        pd.DataFrame({"text": ["x", "y"], "score": ["1", value]}).to_csv(
            tmp_path / "test.csv", index=False
        )
        message = "test has 1 targets that are no finite number, the first in row 2"
        refused(lambda: tasks.load(f"{tmp_path}:score", SIZES, seed=0), message)


# ---- parquet


def test_parquet_with_a_damaged_page_or_texts_that_are_no_utf_8(tmp_path: Path) -> None:
    path, table = tmp_path / "train.parquet", {"text": ["word"] * 5_000, "label": ["a"] * 5_000}
    pq.write_table(pa.table(table), path, compression="none", use_dictionary=False)
    whole = path.read_bytes()
    path.write_bytes(whole[:20] + b"\xff" * 2_000 + whole[2_020:])
    refused(lambda: corpora.load(str(tmp_path)), "train.parquet cannot be read as parquet: ")
    path.write_bytes(whole.replace(b"word", b"w\xe9rd"))
    refused(lambda: corpora.load(str(tmp_path)), "train.parquet cannot be read as parquet: ")


def test_parquet_with_a_column_whose_name_is_no_utf_8(tmp_path: Path) -> None:
    path, tokens = tmp_path / "train.parquet", pa.array([["a"]] * 2)
    pq.write_table(pa.table({"text": ["a", "b"], "label": ["x", "y"], "tokens": tokens}), path)
    path.write_bytes(path.read_bytes().replace(b"element", b"\x80lement", 1))
    refused(lambda: corpora.load(str(tmp_path)), "train.parquet cannot be read as parquet: ")


@pytest.mark.parametrize(
    "noted",
    [
        "{",
        "null",
        "[]",
        "{}",
        '{"info": {"features": null}}',
        '{"info": {"features": {"label": {"names": [1, 2]}}}}',
        '{"info": {"features": {"label": {"names": 7}}}}',
        "[" * 100_000,
    ],
)
def test_broken_notes_of_the_library_datasets(tmp_path: Path, noted: str) -> None:
    table = pa.table({"text": ["a", "b"], "label": ["x", "y"]})
    pq.write_table(
        table.replace_schema_metadata({"huggingface": noted}), tmp_path / "train.parquet"
    )
    refused(lambda: corpora.load(str(tmp_path)), 'metadata "huggingface"\\) is broken; write the')


# ---- sentences with tags


def read_conll(folder: Path, text: str, name: str = "train.conll") -> tuple[Any, Any]:
    (folder / "en").mkdir(exist_ok=True)
    (folder / "en" / name).write_bytes(text.encode())
    corpus = tagged.load(str(folder))
    part = corpus.parts["train"]
    return part.tokens, [[corpus.tags[tag] for tag in tags] for tags in part.tags]


WORDS = [["Oslo", "is", "#", "cold"], ["New", "York"]]
TAGS = [["B-LOC", "O", "O", "O"], ["B-LOC", "I-LOC"]]


@pytest.mark.parametrize("line_end", ["\n", "\r\n"])
@pytest.mark.parametrize("between", ["", "\t", " ", "\t\t", "-DOCSTART-", "-DOCSTART- -X- O O"])
@pytest.mark.parametrize(
    "columns", ["{0}\t{1}", "{0} {1}", "{0}\tNN\t{1}", "{0} _  _ {1}", "{0}\t{1}\t"]
)
def test_conll_as_it_is_published(
    tmp_path: Path, columns: str, between: str, line_end: str
) -> None:
    """WNUT17 has a lone tab between sentences, CoNLL-2003 documents, MultiCoNER comments."""
    lines = ["# id 5f-1 domain=en", "# text = of two words O"[: 21 if "\t" in columns else None]]
    for words, tags in zip(WORDS, TAGS):
        lines += [columns.format(*pair) for pair in zip(words, tags)] + [between, ""]
    assert read_conll(tmp_path, line_end.join(lines)) == (WORDS, TAGS)


def test_a_blank_that_does_not_break_is_part_of_its_token(tmp_path: Path) -> None:
    tokens, _ = read_conll(tmp_path, "10\u00a0000 O\nOslo B-LOC\n")
    assert tokens == [["10\u00a0000", "Oslo"]]


@pytest.mark.parametrize(
    ("tokens", "tags", "message"),
    [
        (["a"], None, "en/train has 1 sentences whose tokens or tags are no list, the first in r"),
        (None, ["O"], "en/train has 1 sentences whose tokens or tags are no list"),
        ("ab", ["O", "O"], "en/train has 1 sentences whose tokens or tags are no list"),
        (["a"], [None], "place 1: the tag is None; expected a name such as B-LOC, or a whole num"),
        (["a"], [1.5], "sentence 1, place 1: the tag is 1.5; expected a name such as B-LOC"),
        (["a", None], ["O", "O"], "sentence 1 has None for a token at place 2; expected text"),
        ([7], ["O"], "sentence 1 has 7 for a token at place 1; expected text"),
    ],
)
def test_sentences_of_other_things(tmp_path: Path, tokens: Any, tags: Any, message: str) -> None:
    (tmp_path / "en").mkdir()
    table = pd.DataFrame({"tokens": [tokens], "ner_tags": [tags]})
    table.to_parquet(tmp_path / "en" / "train.parquet")
    refused(lambda: tagged.load(str(tmp_path)), message)


def test_a_list_of_tags_in_latin_1(tmp_path: Path) -> None:
    (tmp_path / "tags.txt").write_bytes("O B-Größe".encode("latin-1"))
    message = "tags.txt is not UTF-8: byte 0xf6 at position 6; save it as UTF-8"
    refused(lambda: read_conll(tmp_path, "a O\n"), message)
