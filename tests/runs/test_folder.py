import json
import multiprocessing

import pytest

from polytask.errors import RunError
from polytask.runs import RunFolder
from polytask.runs.folder import FORMAT


@pytest.fixture
def folder(tmp_path):
    made = RunFolder(tmp_path / "run")
    made.create()
    return made


def test_a_file_appears_whole_or_not_at_all(folder, monkeypatch):
    folder.write("a.json", "good")
    monkeypatch.setattr("os.fsync", lambda _: (_ for _ in ()).throw(OSError(28, "No space left on device")))
    with pytest.raises(RunError, match="no space left"):
        folder.write("a.json", "half")
    assert (folder / "a.json").read_text() == "good"
    assert [p.name for p in folder.path.iterdir()] == ["a.json"]


def test_somebody_elses_folder_is_refused(tmp_path):
    (tmp_path / "holiday.jpg").write_text("")
    with pytest.raises(RunError, match=r"holds 'holiday.jpg' and is no Run folder"):
        RunFolder(tmp_path).create()
    assert [p.name for p in tmp_path.iterdir()] == ["holiday.jpg"]


def test_a_file_in_its_place_is_refused(tmp_path):
    (tmp_path / "run").write_text("")
    with pytest.raises(RunError, match="is a file; a Run needs a folder"):
        RunFolder(tmp_path / "run").create()
    with pytest.raises(RunError, match=r"is a file; choose another folder|a part of this path"):
        RunFolder(tmp_path / "run" / "inner").create()


def _hold(path, taken, done):
    with RunFolder(path).locked():
        taken.set()
        done.wait(20)


def test_two_processes_cannot_write_one_run(folder):
    context = multiprocessing.get_context("spawn")
    taken, done = context.Event(), context.Event()
    other = context.Process(target=_hold, args=(folder.path, taken, done))
    other.start()
    try:
        assert taken.wait(60)
        with pytest.raises(RunError, match="is being written by another process"), folder.locked():
            pass
    finally:
        done.set()
        other.join()
    with folder.locked():
        pass


def test_state_and_newer_formats(folder):
    assert folder.state() == "empty"
    folder.write_json("run.json", {"format": FORMAT, "state": "training"})
    assert folder.state() == "training"
    folder.write_json("run.json", {"format": FORMAT + 1, "polytask": "9.0", "state": "finished"})
    with pytest.raises(RunError, match=r"written by polytask 9.0 .* upgrade polytask"):
        folder.state()
    folder.write("run.json", "[]")
    with pytest.raises(RunError, match="damaged"):
        folder.state()
    folder.write("run.json", '{"format"')
    with pytest.raises(RunError, match="damaged"):
        folder.state()


def test_sealed_files_are_checked(folder):
    folder.write("model.json", "{}")
    folder.write("weights/mean.safetensors", b"1234")
    folder.seal()
    folder.verify()
    (folder / "weights/mean.safetensors").write_bytes(b"1235")
    with pytest.raises(RunError, match=r"mean.safetensors is damaged \(its checksum differs\)"):
        folder.verify()
    (folder / "weights/mean.safetensors").unlink()
    with pytest.raises(RunError, match="is missing"):
        folder.verify("weights/mean.safetensors")


def test_replacing_holds_to_the_checksums_at_every_moment(folder, monkeypatch):
    folder.write("metrics.json", "old")
    folder.seal()
    written, write = [], RunFolder.write

    def watched(self, name, content):
        write(self, name, content)
        written.append(name)
        self.verify()

    monkeypatch.setattr(RunFolder, "write", watched)
    folder.replace({"metrics.json": b"new", "predictions/test.parquet": b"rows"})
    assert "metrics.json" in written
    assert json.loads((folder / "checksums.json").read_text()).keys() == {
        "metrics.json",
        "predictions/test.parquet",
    }
