"""One owner for a state folder at a time."""

import fcntl
import os
from pathlib import Path
from types import TracebackType
from typing import Self

from infra.services.errors import ServiceUnavailable


class FolderLock:
    """An advisory lock on a folder, given back by the kernel when its owner dies."""

    def __init__(self, folder: Path, name: str) -> None:
        self._path = folder / f"{name}.lock"
        self._name = name
        self._handle: int | None = None

    def acquire(self) -> None:
        """Take the lock and write our process id into it.

        Raises:
            ServiceUnavailable: Another process owns the folder; the message says which.
        """
        self._path.parent.mkdir(parents=True, exist_ok=True)
        handle = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            owner = os.pread(handle, 32, 0).decode().strip() or "unknown"
            os.close(handle)
            raise ServiceUnavailable(
                "state folder",
                f"{self._path.parent} is in use by process {owner}; stop that one first"
                " or choose another TASKLOOM_STATE_DIR",
            ) from error
        os.ftruncate(handle, 0)
        os.pwrite(handle, f"{os.getpid()}\n".encode(), 0)
        self._handle = handle

    def release(self) -> None:
        """Give the lock back; a lock that is not held stays as it is."""
        if self._handle is not None:
            # The file stays: removing it would let two owners lock two files of one name.
            os.close(self._handle)
            self._handle = None

    def __enter__(self) -> Self:
        self.acquire()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.release()
