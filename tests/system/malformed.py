"""Sends letters that nobody can accept, and good ones between them."""

from collections.abc import Sequence
from typing import Any

import pika

from infra.chaos.letters import Letter


def send(channel: Any, letters: Sequence[Letter]) -> None:
    """Publish letters to the reports, each until the broker has it."""
    for one in letters:
        channel.basic_publish(
            "taskloom.reports",
            one.key,
            one.body,
            pika.BasicProperties(**one.properties),
            mandatory=True,
        )
