"""The study folder: what was asked, how far it has come, and whether it may be gone on with."""

import hashlib
import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import polytask
from polytask.errors import RunError
from polytask.experiment import first_difference, without_path
from polytask.runs import FORMAT, Layout, RunFolder, json_bytes
from polytask.studies.plan import Job
from polytask.yaml_file import read_yaml

STUDY = Layout(
    noun="study",
    head="study.json",
    names=frozenset(
        {
            "study.json", "config.yaml", "schema.json", "splits", "lint.json", "environment.json",
            "citations.bib", "runs", "baselines", "results.json", "costs.jsonl", "workers", ".lock",
            "checksums.json", "report.html", "report.md",
        }
    ),
)  # fmt: skip


def study_folder(path: Any) -> RunFolder:
    """A study's files."""
    return RunFolder(path, STUDY)


def digest_of(written: Mapping[str, Any], fingerprints: Mapping[str, str]) -> str:
    """The same settings on the same data are the same study."""
    content = [without_path(written), dict(fingerprints), polytask.__version__]
    return hashlib.sha256(json.dumps(content, sort_keys=True, default=str).encode()).hexdigest()[:16]


def head_of(digest: str, state: str, fingerprints: Mapping[str, str], **more: Any) -> dict[str, Any]:
    """What `study.json` says."""
    return {
        "format": FORMAT,
        "polytask": polytask.__version__,
        "state": state,
        "digest": digest,
        "tables": dict(fingerprints),
        **more,
    }


def check_same_study(folder: RunFolder, written: Mapping[str, Any], fingerprints: Mapping[str, str]) -> None:
    """Refuses to go on with a study of other settings or other data.

    Raises:
        RunError: names the first setting, or the table, that differs.
    """
    before, _ = read_yaml(folder / "config.yaml")
    different = first_difference(without_path(before), without_path(written))
    if different:
        key, old, new = different
        raise RunError(
            f"{folder.path} holds a study with other settings: {key} is {old!r} there and {new!r} now; "
            "choose another folder, or the same settings"
        )
    tables = folder.read_json("study.json")["tables"]
    for name, fingerprint in fingerprints.items():
        if tables.get(name) != fingerprint:
            raise RunError(f"{folder.path} holds a study of other data (table {name!r}); choose another folder")


def is_finished(folder: RunFolder, job: Job, study: str) -> bool:
    """Whether a job's Run is there, whole, and of this study.

    Raises:
        RunError: the Run is damaged, or of another study.
    """
    run = RunFolder(folder / job.folder)
    if not run.path.is_dir() or (state := run.state()) == "empty":
        return False
    if run.read_json("run.json").get("given") != job.mark(study):
        raise RunError(f"{run.path} is a Run of another study or of other settings; remove it, and it is trained again")
    if state != "finished":
        return False
    try:
        run.verify()
    except RunError as error:
        raise RunError(f"{error}; or remove {run.path}, and it is trained again") from None
    return True


def opened_at(folder: RunFolder) -> str:
    """When the study first read its test rows; now, where it did not before."""
    head = folder.read_json("study.json")
    if "test_opened" not in head:
        head["test_opened"] = datetime.now(UTC).isoformat(timespec="seconds")
        folder.write_json("study.json", head)
    return str(head["test_opened"])


def check_not_lost(folder: RunFolder) -> None:
    """Refuses to begin in a folder whose Runs have lost their study.

    Raises:
        RunError: it has Runs, but no head.
    """
    if (folder / "runs").exists():
        raise RunError(f"{folder.path} has Runs but no study.json; restore it from a copy, or choose another folder")


def finish(folder: RunFolder, results: Mapping[str, Any], head: Mapping[str, Any]) -> None:
    """Writes the results and their checksum, and last of all that the study is finished."""
    content = json_bytes(results)
    folder.write("results.json", content)
    folder.write_json("checksums.json", {"results.json": [hashlib.sha256(content).hexdigest()]})
    crashed = sum(run["state"] == "crashed" for run in results["runs"])
    folder.write_json("study.json", {**head, "state": "finished", "crashed": crashed})
