"""The process of an agent, as the machine sees it."""

import psutil


class ProcessBody:
    """This process."""

    def __init__(self) -> None:
        self._process = psutil.Process()

    def cpu(self) -> float:
        """Return the share of one processor that was used since the last call."""
        return self._process.cpu_percent() / 100

    def memory(self) -> int:
        """Return the bytes of memory that are in use."""
        return self._process.memory_info().rss
