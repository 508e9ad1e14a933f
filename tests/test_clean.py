"""What ``gdlib clean`` finds and deletes, beside runs that go on."""

from pathlib import Path

from gdlib.core.store import Store
from gdlib.run.clean import delete, leftovers


def test_a_build_that_was_taken_up_since_it_was_found_stays(tmp_path: Path) -> None:
    store = Store(tmp_path)
    going, left = (tmp_path / "work" / "teacher" / name for name in ("going", "left"))
    for build in (going, left):
        build.mkdir(parents=True)
    found = leftovers([], store, tmp_path)
    assert found == {going: "interrupted", left: "interrupted"}
    with store.lock(tmp_path / "teacher" / "going"):
        delete(found, store)
    assert going.is_dir() and not left.exists()


def test_what_a_killed_clean_left_is_found_and_in_nobody_s_way(tmp_path: Path) -> None:
    store = Store(tmp_path)
    half = tmp_path / "teacher" / ".abc.1.deleted"
    half.mkdir(parents=True)
    artifact = tmp_path / "teacher" / "abc"
    artifact.mkdir()
    delete([artifact], store)
    found = leftovers([], store, tmp_path)
    assert found == {half: "half deleted"}
    delete(found, store)
    assert not [*(tmp_path / "teacher").iterdir()]
