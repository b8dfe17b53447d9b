"""The Run folder: atomic writes, checksums, the lock, and which version wrote it."""

import fcntl
import hashlib
import json
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from polytask.errors import RunError
from polytask.runs.files import explained, is_staged, json_bytes, sha256

#: The layout's version: raised when an older polytask could not read a newer folder.
FORMAT = 1


@dataclass(frozen=True)
class Layout:
    """What a folder of one kind may hold; anything else means that the folder is somebody's own.

    Attributes:
        noun: what it is a folder of, in errors.
        head: the file that says what it is and how far it has come.
        names: of all files and folders in it.
    """

    noun: str
    head: str
    names: frozenset[str]


#: The Run from which a Run has borrowed labels, a folder within its own.
FIRST = "first_training"
#: What `polytask report` writes into a Run's folder.
REPORT = ("report.html", "report.md", "results.json")

RUN = Layout(
    noun="Run",
    head="run.json",
    names=frozenset(
        {
            "run.json", "config.yaml", "model.json", "schema.json", "splits.parquet", "preprocessing", "weights",
            "checkpoint", "history.jsonl", "metrics.json", "predictions", "environment.json", "lint.json",
            "citations.bib", "checksums.json", "borrowed.parquet", FIRST, ".lock", *REPORT,
        }
    ),
)  # fmt: skip


class RunFolder:
    """One Run's files, or those of another record that is kept like it.

    Every file appears whole or not at all: it is written under another name, flushed to disk, then renamed.

    Args:
        path: the folder; `create` makes it.
        layout: what it holds.
    """

    def __init__(self, path: str | Path, layout: Layout = RUN) -> None:
        self.path = Path(path)
        self.layout = layout

    def __fspath__(self) -> str:
        return str(self.path)

    def __repr__(self) -> str:
        return f"RunFolder({str(self.path)!r})"

    def __truediv__(self, name: str) -> Path:
        return self.path / name

    def check(self) -> None:
        """Refuses a place where this folder could not be: a file, or a folder of something else.

        Raises:
            RunError: it cannot be written, is a file, or holds something else.
        """
        with explained(self.path):
            if self.path.exists() and not self.path.is_dir():
                raise RunError(f"{self.path} is a file; a {self.layout.noun} needs a folder: choose another name")
            if self.path.exists():
                held = {p.name for p in self.path.iterdir()}
                is_ours = held & {self.layout.head, ".lock"}
                known = self.layout.names
                strange = sorted(name for name in held if not (is_ours and (name in known or is_staged(Path(name)))))
                if strange:
                    raise RunError(
                        f"{self.path} holds {strange[0]!r} and is no {self.layout.noun} folder; "
                        "choose an empty or a new folder"
                    )

    def create(self) -> None:
        """Makes the folder, or checks that the one there is of its kind or empty.

        Raises:
            RunError: it cannot be written, is a file, or holds something else.
        """
        self.check()
        with explained(self.path):
            self.path.mkdir(parents=True, exist_ok=True)
            if not os.access(self.path, os.W_OK | os.X_OK):
                raise RunError(f"{self.path} cannot be written (permission denied); choose another folder")

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Holds the folder for this process.

        Raises:
            RunError: another process is writing it.
        """
        with explained(self.path):
            handle = (self.path / ".lock").open("a+")
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            handle.close()
            raise RunError(
                f"{self.path} is being written by another process; wait for it, or choose another folder"
            ) from None
        try:
            for left in filter(is_staged, self.path.rglob(".*.new")):
                left.unlink()  # a process was killed while it wrote this
            yield
        finally:
            handle.close()

    def write(self, name: str, content: bytes | str) -> None:
        """One file, atomically."""
        target = self.path / name
        with explained(target):
            target.parent.mkdir(parents=True, exist_ok=True)
            staged = target.with_name(f".{target.name}.new")  # see is_staged
            try:
                with staged.open("wb") as handle:
                    handle.write(content if isinstance(content, bytes) else content.encode())
                    handle.flush()
                    os.fsync(handle.fileno())
                staged.replace(target)
            finally:
                staged.unlink(missing_ok=True)

    def write_json(self, name: str, values: Any) -> None:
        """One JSON file, atomically."""
        self.write(name, json_bytes(values))

    def read_json(self, name: str) -> Any:
        """One JSON file.

        Raises:
            RunError: it is missing or damaged.
        """
        try:
            return json.loads((self.path / name).read_text(encoding="utf-8"))
        except FileNotFoundError:
            raise RunError(
                f"{self.path} has no {name}: it is no {self.layout.noun} folder, or an incomplete one"
            ) from None
        except (json.JSONDecodeError, UnicodeDecodeError) as error:
            raise RunError(f"{self.path / name} is damaged ({error}); restore it from a copy or train again") from None

    def state(self) -> str:
        """`"empty"` (nothing prepared yet), `"training"` or `"finished"`.

        Raises:
            RunError: a newer polytask wrote it, or its head is damaged.
        """
        name = self.layout.head
        if not (self.path / name).exists():
            return "empty"
        head = self.read_json(name)
        if not isinstance(head, dict) or not isinstance(head.get("format"), int) or "state" not in head:
            raise RunError(f"{self.path / name} is damaged: it names no format; restore it or train again")
        if head["format"] > FORMAT:
            noun, writer = self.layout.noun, head.get("polytask", "?")
            raise RunError(
                f"{self.path} was written by polytask {writer} ({noun} format {head['format']}); "
                f"this one reads format {FORMAT}: upgrade polytask to load it"
            )
        return str(head["state"])

    def clear(self) -> None:
        """Removes what an interrupted preparation left."""
        with explained(self.path):
            for item in self.path.iterdir():
                if item.name in self.layout.names - {".lock"}:
                    shutil.rmtree(item) if item.is_dir() else item.unlink()

    def forget(self, *, whole: bool) -> None:
        """Leaves nothing of a training that was refused before its first checkpoint.

        Args:
            whole: remove the folder too.
        """
        if any(self.path.rglob("checkpoint")):
            return
        if whole:
            shutil.rmtree(self.path, ignore_errors=True)
        else:
            self.clear()
            (self.path / ".lock").unlink(missing_ok=True)

    def neighbours(self) -> str:
        """The end of a sentence that names the folders of this kind beside this one, or in `runs/`."""
        places = (self.path.parent, Path("runs"))
        head = f"*/{self.layout.head}"
        found = sorted({str(p.parent) for place in places if place.is_dir() for p in place.glob(head)})
        shown = ", ".join(found[:5]) + (f", … ({len(found)} in all)" if len(found) > 5 else "")
        return f"; there is {shown}" if found else ""

    def seal(self) -> None:
        """Writes the checksums of every file of the finished Run but the checkpoint's and run.json's."""
        self.write_json("checksums.json", {name: [sha256(self.path / name)] for name in self._sealed()})

    def replace(self, files: Mapping[str, bytes]) -> None:
        """Rewrites files of a sealed Run; killed at any moment, the folder still holds to its checksums."""
        sums = self.read_json("checksums.json")
        for name in files.keys() - sums.keys():
            self.write(name, files[name])
        changed = {name: content for name, content in files.items() if name in sums}
        both = {name: [*sums[name], hashlib.sha256(content).hexdigest()] for name, content in changed.items()}
        self.write_json("checksums.json", sums | both)
        for name, content in changed.items():
            self.write(name, content)
        self.seal()

    def verify(self, *names: str) -> None:
        """Checks files against their checksums (all sealed ones where none is named).

        Raises:
            RunError: a file is missing or was changed.
        """
        sums = self.read_json("checksums.json")
        for name in names or sums:
            path = self.path / name
            if not path.is_file():
                raise RunError(f"{path} is missing; restore it from a copy or train again")
            if sha256(path) not in sums.get(name, []):
                raise RunError(f"{path} is damaged (its checksum differs); restore it from a copy or train again")

    def _sealed(self) -> list[str]:
        files = (p for p in self.path.rglob("*") if p.is_file())
        names = sorted(p.relative_to(self.path).as_posix() for p in files)
        changing = {"checksums.json", "run.json", *REPORT}
        return [n for n in names if not n.startswith(("checkpoint/", f"{FIRST}/", ".")) and n not in changing]
