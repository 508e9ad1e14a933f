"""Silver sentences with tags in many languages, made from the names of the Unicode locale data
(CLDR).

CLDR, which the package ``babel`` carries, names territories, cities, languages and currencies in
hundreds of languages, and writes dates, amounts and lists in each. A silver sentence strings such
parts together; the names are its entities::

    B-LOC I-LOC  O  B-LNG   O B-CUR I-CUR
    South Africa or Swahili ( Kenyan Shilling )

It is *not* real text: there is hardly a context to read, and tags are right by construction. It
stands in where no real tagged text can be carried along, and is called silver wherever a number
comes from it. ``LOC`` is a territory or a city, ``LNG`` a language, ``CUR`` a currency; "Romanian"
begins a language or a currency, and dates and amounts are no entities.
"""

import re
from collections import Counter
from datetime import date, timedelta
from functools import cache

import numpy as np
import pandas as pd
from babel import Locale
from babel.dates import format_date, format_timedelta
from babel.units import format_unit

from gdlib.sources.cards import CARDS

LANGUAGES = CARDS["silver"].languages
"""Twelve languages in nine scripts (Arabic, Latin, Greek, Devanagari, Kana and Han, Hangul,
Cyrillic).
"""
UNSPACED = ("ja", "zh")
"""Written without blanks: a token is a character, as in WikiAnn."""
UNITS = (
    "length-kilometer",
    "mass-kilogram",
    "duration-hour",
    "temperature-celsius",
    "volume-liter",
    "digital-megabyte",
)
SENTENCES = {"train": 3000, "test": 500}
"""Per language; different ones in the end, so a few less."""


def tables(language: str) -> dict[str, pd.DataFrame]:
    """The sentences of a language by split, each with its tags: tokens, ner_tags; the same on every
    machine with the same ``babel``.

    Train and test are drawn alike and may share sentences; whoever splits takes those out.
    """
    splits = {}
    for number, (split, size) in enumerate(SENTENCES.items()):
        random = np.random.default_rng([LANGUAGES.index(language), number])
        made = (_sentence(language, random) for _ in range(size))
        distinct = {" ".join(tokens): (tokens, tags) for tokens, tags in made}
        splits[split] = pd.DataFrame(distinct.values(), columns=["tokens", "ner_tags"])
    return splits


def _sentence(language: str, random: np.random.Generator) -> tuple[list[str], list[str]]:
    """Two to five parts, more than half of them names, with what stands between parts of a list."""
    tokens, tags = [], []
    for left in reversed(range(random.integers(2, 6))):
        kind = str(random.choice(["LOC", "LNG", "CUR", "plain"], p=[0.3, 0.15, 0.15, 0.4]))
        if kind == "plain":
            words = _tokens(_plain(language, random), language)
            marks = ["O"] * len(words)
        else:
            words = _tokens(str(random.choice(names(language)[kind])), language)
            marks = [f"B-{kind}"] + [f"I-{kind}"] * (len(words) - 1)
        if random.random() < 0.15:
            words, marks = ["(", *words, ")"], ["O", *marks, "O"]
        between = _between(language, random) if left else []
        tokens += words + between
        tags += marks + ["O"] * len(between)
    return tokens, tags


@cache
def names(language: str) -> dict[str, list[str]]:
    """The names of every class of entity in a language; a name that two classes share is left out,
    as are bracketed ones.
    """
    locale = Locale.parse(language)
    cities = {zone["city"] for zone in locale.time_zones.values() if "city" in zone}
    by_kind = {
        "LOC": {name for code, name in locale.territories.items() if code.isalpha()} | cities,
        "LNG": set(locale.languages.values()),
        "CUR": set(locale.currencies.values()),
    }
    refused = re.compile(r"[\d()（）]|\bUTC\b")
    clean = {
        kind: sorted(name for name in names if not refused.search(name))
        for kind, names in by_kind.items()
    }
    often = Counter(name.casefold() for names in clean.values() for name in names)
    return {
        kind: [name for name in names if often[name.casefold()] == 1]
        for kind, names in clean.items()
    }


def _plain(language: str, random: np.random.Generator) -> str:
    """A date, an amount with its unit, or a stretch of time, as the language writes it."""
    number, locale = int(random.integers(2, 200)), Locale.parse(language)
    day = date(1900, 1, 1) + timedelta(days=int(random.integers(0, 45_000)))
    match random.integers(4):
        case 0:
            return format_date(day, "long", locale)
        case 1:
            return format_date(day, "EEEE", locale)
        case 2:
            return format_unit(number, str(random.choice(UNITS)), "long", locale=locale)
    hours = timedelta(hours=number)
    return format_timedelta(hours, locale=locale, add_direction=bool(number % 2))


def _between(language: str, random: np.random.Generator) -> list[str]:
    """What stands between two parts: a comma, the language's "and" or "or", a dash, or nothing at
    all.
    """
    patterns = Locale.parse(language).list_patterns
    ways = (
        patterns["standard"]["middle"],
        patterns["or"]["2"],
        patterns["standard"]["2"],
        "–",
        "",
    )
    return _tokens(ways[random.integers(5)].replace("{0}", "").replace("{1}", ""), language)


def _tokens(text: str, language: str) -> list[str]:
    """Words and marks of punctuation; in languages without blanks, characters."""
    words = re.findall(r"[\w'’.\-\u200c\u200d\u0300-\u036f\u0900-\u097f]+|\S", text)
    return [*"".join(words)] if language in UNSPACED else words
