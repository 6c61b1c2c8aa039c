"""Shows a plan's progress: live on a terminal, as plain lines in a pipe."""

import sys
import time
from collections.abc import Iterable
from typing import TYPE_CHECKING, Protocol

from domain.policies import Event
from domain.recorded import Recorded
from domain.run_events import TaskCompleted, TaskFailed, TaskLost, TaskSkipped
from domain.steering import TaskReopened
from infra.cli.progress import BUSY, Phase, Progress
from projections.describe import describe

if TYPE_CHECKING:
    from rich.console import RenderableType

FEW = 100
"""So many tasks get a line each; of more, every twentieth part is told."""

MOST_RUNNING = 6
BAR = 24


class Display(Protocol):
    """Something a person can look at."""

    def tell(self, message: str) -> None:
        """Say what is being waited for."""
        ...

    def heard(self, recorded: Recorded[Event], progress: Progress) -> None:
        """Show one more event, which the progress has taken in already."""
        ...

    def close(self) -> None:
        """Show the last state and no more; saying it twice does no harm."""
        ...


def choose() -> Display:
    """Return the display that suits where the messages go."""
    return Live() if sys.stderr.isatty() else Lines()


class Lines:
    """One line for each thing worth one."""

    def __init__(self) -> None:
        self._since = time.monotonic()
        self._told = 0

    def tell(self, message: str) -> None:
        """Say what is being waited for."""
        self._print(message)

    def heard(self, recorded: Recorded[Event], progress: Progress) -> None:
        """Print a line for a phase, a task of a small run, or a part of a large one."""
        event = recorded.event
        match event:
            case TaskCompleted():
                phase = _phase_of(progress, event.run_id)
                if phase is not None:
                    self._ended(event, phase, progress)
            case TaskFailed() | TaskLost() | TaskSkipped() | TaskReopened():
                self._print(describe(event))
            case _ if not recorded.type.startswith(("task.", "report.")):
                self._print(describe(event))
            case _:
                pass

    def _ended(self, event: TaskCompleted, phase: Phase, progress: Progress) -> None:
        total = len(phase.run.tasks)
        share = 20 * phase.done // total
        if total > FEW and share == self._told:
            return
        self._told = share
        mark = " (critical path)" if _is_critical(progress, phase, event.task_id) else ""
        name = phase.run.tasks[event.task_id].name
        self._print(f"[{phase.done}/{total}] {event.task_id} {name}{mark}: {event.agent_id}")

    def _print(self, message: str) -> None:
        print(f"{time.monotonic() - self._since:7.2f} s  {message}", file=sys.stderr, flush=True)

    def close(self) -> None:
        """Nothing is left open."""


class Live:
    """Bars for each agent type, what runs now, and where the critical path is."""

    def __init__(self) -> None:
        from rich.console import Console
        from rich.live import Live as Screen

        self._since = time.monotonic()
        self._message = ""
        self._progress: Progress | None = None
        self._screen = Screen(
            console=Console(stderr=True, highlight=False),
            get_renderable=self._render,
            refresh_per_second=10,
        )

    def tell(self, message: str) -> None:
        """Say what is being waited for."""
        self._message = message
        self._screen.start()

    def close(self) -> None:
        """Leave the last state on the screen."""
        self._screen.stop()

    def heard(self, recorded: Recorded[Event], progress: Progress) -> None:
        """Take note; it is drawn ten times a second."""
        self._progress = progress
        event = recorded.event
        if isinstance(event, TaskFailed | TaskLost):
            self._screen.console.print(f"[yellow]{describe(event)}[/]", markup=True)

    def _render(self) -> "RenderableType":
        from rich.console import Group
        from rich.text import Text

        clock = f"{time.monotonic() - self._since:6.1f} s"
        progress = self._progress
        if progress is None or progress.plan is None:
            return Text(f"{clock}  {self._message} …")
        title = Text(f"{clock}  ")
        title.append(progress.plan.goal.title, style="bold")
        title.append(f"  {progress.plan_id}", style="dim")
        parts: list[RenderableType] = [title]
        for name, phase in (("planning", progress.planning), ("executing", progress.execution)):
            if phase is not None:
                parts += _phase(name, phase, progress)
        return Group(*parts)


def _phase(name: str, phase: Phase, progress: Progress) -> "Iterable[RenderableType]":
    from rich.table import Table
    from rich.text import Text

    total = len(phase.run.tasks)
    head = Text("  ")
    looks = {"running": "bold cyan", "paused": "bold yellow", "completed": "green"}
    style = looks.get(phase.run.status, "bold red")
    head.append(f"{'paused while ' if phase.run.status == 'paused' else ''}{name} ", style=style)
    head.append(f"{phase.done}/{total} tasks")
    if progress.schedule is not None and phase is progress.execution:
        path = progress.schedule.path
        done = sum(phase.run.states[task].status == "completed" for task in path)
        head.append(f"   ◆ critical path {done}/{len(path)}", style="magenta")
    yield head
    grid = Table.grid(padding=(0, 1))
    for kind, tally in sorted(phase.tallies.items()):
        count = sum(tally.values())
        ended = tally["completed"]
        bad = tally["failed"] + tally["skipped"] + tally["cancelled"]
        busy = sum(tally[status] for status in BUSY)
        bar = Text("    ")
        for amount, look in ((ended, "green"), (bad, "red"), (busy, "cyan")):
            bar.append("━" * round(BAR * amount / count), style=look)
        bar.append("━" * (BAR + 4 - len(bar.plain)), style="bright_black")
        grid.add_row(f"    {kind}", bar, f"{ended}/{count}", f"{busy} at work" if busy else "")
    yield grid
    for task_id in list(phase.running)[:MOST_RUNNING]:
        is_critical = _is_critical(progress, phase, task_id)
        line = Text(f"      {'◆' if is_critical else '·'} ", style="magenta" if is_critical else "")
        line.append(f"{task_id} {phase.run.tasks[task_id].name}"[:90])
        yield line


def _is_critical(progress: Progress, phase: Phase, task_id: str) -> bool:
    schedule = progress.schedule
    return schedule is not None and phase is progress.execution and task_id in schedule.path


def _phase_of(progress: Progress, run_id: str) -> Phase | None:
    phases = (progress.planning, progress.execution)
    return next((one for one in phases if one is not None and one.run.id == run_id), None)
