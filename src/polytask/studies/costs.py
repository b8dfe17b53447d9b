"""What a study spent, read from its Runs."""

import json
from collections.abc import Iterator
from functools import cached_property
from typing import Any

from polytask.runs import RunFolder
from polytask.studies.conduct import Conducted
from polytask.studies.plan import Job, Unit


class Costs:
    """What was spent, read from the Runs.

    Args:
        folder: of the study.
        conducted: what was trained.
    """

    def __init__(self, folder: RunFolder, conducted: Conducted) -> None:
        self.folder = folder
        self._conducted = conducted

    def runs(self) -> list[dict[str, Any]]:
        """Every Run with its state."""
        crashed = self._conducted.crashed
        main = {job.folder for job in self._conducted.main}
        return [
            {
                "arm": job.unit.arm,
                "task": job.unit.task,
                "seed": job.seed,
                "split": job.split,
                "setting": dict(job.setting),
                "folder": job.folder,
                "state": "crashed" if job.folder in crashed else "finished",
                "reason": crashed.get(job.folder, ""),
                **({} if job.folder in crashed else self._of_run(job)),
                "is_main": job.folder in main,
            }
            for job in self._jobs()
        ]

    def seconds(self, units: list[Unit]) -> float:
        """Training of the Runs that are judged."""
        folders = {unit.folder for unit in units}
        return sum(
            self._of_run(job)["seconds"]
            for job in self._conducted.main
            if job.unit.folder in folders and job.folder not in self._conducted.crashed
        )

    def joules(self, folders: list[str]) -> float | None:
        """Of these jobs; None where one of them is not known."""
        found = [self._spent.get(folder, {}).get("joules") for folder in folders]
        known = [value for value in found if value is not None]
        return sum(known) if known and len(known) == len(found) else None

    def total(self) -> dict[str, Any]:
        """Of the whole study."""
        folders = [job.folder for job in self._jobs() if job.folder not in self._conducted.crashed]
        return {
            "wall_seconds": round(sum(self._sessions().values()), 1),
            "training_seconds": round(sum(self._of_run(job)["seconds"] for job in self._finished()), 1),
            "runs": len(folders),
            "joules": self.joules(folders),
        }

    def _sessions(self) -> dict[str, float]:
        """Seconds of each time that the study was started."""
        found: dict[str, float] = {}
        for spent in self._spent.values():
            found[spent["session"]] = max(found.get(spent["session"], 0.0), spent["elapsed"])
        return found

    def _jobs(self) -> list[Job]:
        return [*self._conducted.main, *self._conducted.trials]

    def _finished(self) -> Iterator[Job]:
        return (job for job in self._jobs() if job.folder not in self._conducted.crashed)

    def _of_run(self, job: Job) -> dict[str, Any]:
        if job.folder not in self._read:
            run = RunFolder(self.folder / job.folder)
            head = run.read_json("run.json")
            lines = (run / "history.jsonl").read_text(encoding="utf-8").splitlines()
            seconds = sum(json.loads(line)["timing"]["seconds"] for line in lines)
            self._read[job.folder] = {
                "seconds": round(seconds, 3),
                "epochs": head["epochs"],
                "best_epoch": head["best_epoch"],
                "validation": head["best_score"],
            }
        return self._read[job.folder]

    @cached_property
    def _read(self) -> dict[str, dict[str, Any]]:
        return {}

    @cached_property
    def _spent(self) -> dict[str, dict[str, Any]]:
        path = self.folder / "costs.jsonl"
        lines = path.read_text(encoding="utf-8").splitlines() if path.is_file() else []
        return {record["folder"]: record for line in lines if (record := _whole(line))}


def _whole(line: str) -> dict[str, Any] | None:
    """A line of costs; None where a full disk or a kill cut it."""
    try:
        found: dict[str, Any] = json.loads(line)
    except json.JSONDecodeError:
        return None
    return found
