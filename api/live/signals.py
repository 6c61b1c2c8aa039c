"""What heartbeats tell readers: how far tasks are, and how busy agents."""

from collections import OrderedDict
from typing import Final

from api.live.frames import AGENTS_TOPIC, agent_status, progress, status_of
from api.live.hub import Hub
from bus.signals import Heartbeat

_MOST: Final = 20_000
"""Tasks and agents of whom it is known what was told last."""


class Signals:
    """Turns heartbeats into frames, where they tell anything new."""

    def __init__(self, hub: Hub) -> None:
        self._hub = hub
        self._told: OrderedDict[str, object] = OrderedDict()

    def hear(self, heartbeat: Heartbeat) -> None:
        """Tell readers what an agent says."""
        load = round(heartbeat.load, 3)
        self._hub.loads[heartbeat.agent_id] = load
        if self._hub.is_watched(AGENTS_TOPIC):
            status = status_of(heartbeat.lifecycle, self._hub.healths.get(heartbeat.agent_id, ""))
            if self._is_news(heartbeat.agent_id, (status, load)):
                self._hub.tell(
                    AGENTS_TOPIC,
                    agent_status(heartbeat.agent_id, status, load, at=heartbeat.at),
                )
        for task in heartbeat.tasks:
            if task.state != "running" or not self._hub.is_watched(task.run_id):
                continue
            if self._is_news(f"{task.run_id}/{task.task_id}/{task.epoch}", task.progress):
                self._hub.tell(
                    task.run_id,
                    progress(task.run_id, task.task_id, task.progress, at=heartbeat.at),
                )

    def _is_news(self, about: str, said: object) -> bool:
        if self._told.get(about) == said:
            return False
        self._told[about] = said
        self._told.move_to_end(about)
        if len(self._told) > _MOST:
            self._told.popitem(last=False)
        return True
