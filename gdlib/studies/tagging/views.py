"""What the notebooks of the tagging part show: small tables made from the artifacts of a run, or of
several.
"""

from collections.abc import Iterator, Sequence

import pandas as pd
from seqeval.metrics.sequence_labeling import get_entities

from gdlib.compare.entities import f1_by_language
from gdlib.compare.tagging_results import TEACHER, TaggedResults
from gdlib.networks import costs as cost
from gdlib.networks import students
from gdlib.studies.tagging.study import TaggingStudy

QUESTIONS = (
    ("D1", "D0"),
    ("D2", "D1"),
    ("D3.2", "D3.1"),
    ("D4.2", "D4.1"),
    ("D4.2", "D1"),
    ("D4.2", "D0"),
    ("D1", "hard"),
)
"""(arm, other arm): what the paper's table of strategies asks; beside it, the longest strategy
against others as long.
"""


def about(study: TaggingStudy) -> str:
    """The corpus in words; says silver where it is."""
    languages = f"{len(study.corpus.languages)} languages"
    return (
        f"silver text made from CLDR names, {languages}"
        if study.corpus.silver
        else f"{study.corpus.name}, {languages}"
    )


def examples(study: TaggingStudy) -> pd.DataFrame:
    """The first tagged sentence of each language, its entities in brackets: language, sentence."""
    part, rows = study.splits.train, []
    for language in study.corpus.languages:
        i = part.languages.index(language)
        rows.append(
            {
                "language": language,
                "sentence": marked(
                    part.tokens[i], [study.splits.tags[tag] for tag in part.tags[i]]
                ),
            }
        )
    return pd.DataFrame(rows)


def marked(tokens: Sequence[str], tags: Sequence[str]) -> str:
    """``I met [Anna PER] in [New York LOC]``"""
    words = list(tokens)
    for kind, start, end in get_entities(list(tags)):
        words[start] = f"[{words[start]}"
        words[end] += f" {kind}]"
    return " ".join(words)


def cuts(study: TaggingStudy) -> pd.DataFrame:
    """What ``max_length`` did: part, sentences, pieces (mean), sentences cut, tokens without a
    piece (they count as O).
    """
    rows = []
    for name, encoded in study.encoded.items():
        lost = sum(place < 0 for row in encoded.first for place in row)
        pieces = sum(map(len, encoded.pieces)) / max(1, len(encoded.pieces))
        rows.append(
            {
                "part": name,
                "sentences": len(encoded.pieces),
                "pieces": pieces,
                "sentences cut": encoded.cut,
                "tokens lost": lost,
            }
        )
    return pd.DataFrame(rows)


def history(study: TaggingStudy) -> pd.DataFrame:
    """The learning curve of the teacher: step, train_loss, held_out."""
    looks = study.trained_tagger().json("history.json")
    return pd.DataFrame({name: looks[name] for name in ("step", "train_loss", "held_out")})


def teacher_f1(study: TaggingStudy) -> pd.DataFrame:
    """The teacher's F1 by language, on the held-out and on the test part."""
    parts = {name: study.counts(study.teacher_tags(name), name) for name in ("validation", "test")}
    scores = {
        name: f1_by_language(counts, study.splits.parts[name].languages)
        for name, counts in parts.items()
    }
    return pd.DataFrame(
        [
            {"language": one, **{name: of[one] for name, of in scores.items()}}
            for one in study.corpus.languages
        ]
    )


def mistakes(study: TaggingStudy, number: int = 8) -> pd.DataFrame:
    """Test sentences in which the teacher finds other entities than the gold ones: language, gold,
    teacher.
    """
    part, said, rows = study.splits.test, study.named(study.teacher_tags("test")), []
    gold = study.named(part.tags)
    wrong = [
        i for i in range(len(part)) if set(get_entities(gold[i])) != set(get_entities(said[i]))
    ]
    for i in wrong[:: max(1, len(wrong) // number)][:number]:
        rows.append(
            {
                "language": part.languages[i],
                "gold": marked(part.tokens[i], gold[i]),
                "teacher": marked(part.tokens[i], said[i]),
            }
        )
    return pd.DataFrame(rows, columns=["language", "gold", "teacher"])


# ---- over seeds


def seeds_shown(results: TaggedResults) -> int:
    """How many units of randomness the main arms have."""
    return int(results.table[results.table["student_seed"] >= 0].groupby("arm").size().max())


def strategies(overview: pd.DataFrame) -> pd.DataFrame:
    """Of an overview the strategies on all transfer sentences, also those given more steps, and the
    teacher.
    """
    return overview[
        (overview["arm"] == overview["strategy"]) | overview["arm"].str.contains(", as long as ")
    ]


def traces(study: TaggingStudy, names: Sequence[str]) -> pd.DataFrame:
    """The traces of some strategies' first students, of those that were run."""
    run = [name for name in names if name in study.settings.strategies]
    return (
        pd.concat([study.trace(name).assign(arm=name) for name in run]) if run else pd.DataFrame()
    )


def answers(results: TaggedResults) -> pd.DataFrame:
    """The questions whose arms were run: arm, against, difference, low, high, p, resolved,
    sentence.
    """
    rows, run = [], set(results.table["arm"])
    as_long = [
        (arm.partition(", as long as ")[2], arm)
        for arm in dict.fromkeys(results.table["arm"])
        if ", as long as " in arm
    ]
    for one, other in (*QUESTIONS, *as_long):
        if {one, other} <= run:
            d = results.difference(one, other)
            row = {
                "arm": one,
                "against": other,
                "difference": d.value,
                "low": d.low,
                "high": d.high,
                "p": d.p,
                "resolved": d.resolved,
            }
            rows.append(row | {"sentence": f"**{one}** minus **{other}**: {d.describe()} of F1."})
    return pd.DataFrame(rows)


def transfer_curve(overview: pd.DataFrame, main: str) -> tuple[pd.DataFrame, pd.DataFrame]:
    """F1 of the main strategy by transfer sentences, and the lines to read it against (D0,
    teacher).
    """
    part = overview[overview["arm"].str.fullmatch(rf"{main}( /\d+)?")].assign(arm=main)
    return part, overview[overview["arm"].isin(["D0", TEACHER])]


def over_labels(study: TaggingStudy) -> pd.DataFrame:
    """F1 by tagged sentences a language: labels_per_language, arm, f1, low, high; for D0, the main
    strategy and the teacher.
    """
    s, tables = study.settings, []
    for labels in sorted({s.labels_per_language, *s.labels_sweep}):
        overview = study.over_seeds(labels_per_language=labels).overview()
        tables.append(
            overview[overview["arm"].isin(["D0", s.main_strategy, TEACHER])].assign(
                labels_per_language=labels
            )
        )
    return pd.concat(tables, ignore_index=True)[["labels_per_language", "arm", "f1", "low", "high"]]


def compression(results: TaggedResults, main: str) -> pd.DataFrame:
    """Every size of the main strategy with its first student seed, and the teacher: size,
    parameters, times fewer, f1, retention.
    """
    table, first = (
        results.table,
        results.table.loc[results.table["student_seed"] >= 0, "student_seed"].min(),
    )
    chosen = table[
        (table["arm"] == TEACHER)
        | (table["arm"].str.fullmatch(rf"{main}( \d+x\d+)?") & (table["student_seed"] == first))
    ]
    name = chosen["embedding_dim"].astype(str) + "x" + chosen["hidden_dim"].astype(str)
    means = (
        chosen.assign(size=name.where(chosen["arm"] != TEACHER, TEACHER))
        .groupby("size", sort=False)[["parameters", "f1"]]
        .mean()
    )
    teacher = means.loc[TEACHER]
    means["times fewer"] = teacher["parameters"] / means["parameters"]
    means["retention"] = means["f1"] / (teacher["f1"] or float("nan"))
    return means.sort_values("parameters").reset_index()


def costs(study: TaggingStudy) -> pd.DataFrame:
    """Times of the teacher and of every size of student, in one run, by the paper's protocol
    (queries of 32 pieces, one thread): size, batch, p50, p95 (ms), times faster."""
    s, texts = study.settings, study.splits.test.texts
    wanted = dict.fromkeys([f"{s.embedding_dim}x{s.hidden_dim}", *s.grid])
    networks = {size: study.student(size) for size in wanted}
    queries = [texts[i * len(texts) // s.queries] for i in range(s.queries)]  # all languages alike
    _, times = cost.costs(study.teacher, study.vocabulary, networks, queries, repeats=1, length=32)
    return times.rename(columns={"name": "size"})


def headline(
    results: TaggedResults, overview: pd.DataFrame, main: str
) -> Iterator[tuple[str, float, str]]:
    """The key numbers: teacher, D0 and the main strategy, its retention and compression."""
    at = overview.set_index("arm")
    yield "teacher F1", float(at.loc[TEACHER, "f1"]), "share"
    for arm in dict.fromkeys(("D0", main)):
        if arm in at.index:
            yield f"{arm} F1", float(at.loc[arm, "f1"]), "share"
    yield "retention", float(at.loc[main, "retention"]), "share"
    yield (
        "times fewer parameters",
        float(at.loc[TEACHER, "parameters"] / at.loc[main, "parameters"]),
        "x",
    )


def embeddings_share(study: TaggingStudy) -> float:
    """Share of the teacher's parameters that are word-piece embeddings."""
    return study.teacher.embedding.numel() / students.parameters(study.teacher.network)
