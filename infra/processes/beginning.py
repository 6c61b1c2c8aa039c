"""What every process does before its work: logs, failures on purpose, secrets, no core dumps."""

import resource

from infra.logging import configure
from infra.processes.failing import arm
from infra.processes.known_secrets import refuse_known_secrets
from infra.settings import Settings

_NO_CORE = 1
"""Bytes. Linux writes no file so small, and takes exactly this limit as a word not to hand the
memory to a program either (``fs/coredump.c``); with 0 it still does that."""


def begin(settings: Settings, *, process: str) -> None:
    """Make a process ready, or let it not start.

    Raises:
        KnownSecret: A secret that everybody knows would protect something.
        NoSigningSecret: What the keys of agents are made from can be guessed.
        UnreadableFailpoint: Failures on purpose are written in no form that is known.
    """
    configure(settings.log_level)
    keep_memory_private()
    refuse_known_secrets(settings)
    arm(settings, process=process)


def keep_memory_private() -> None:
    """Let nobody find keys and passwords in what is left of a process that crashed."""
    _, most = resource.getrlimit(resource.RLIMIT_CORE)
    if most != 0:  # then it leaves none anyway
        resource.setrlimit(resource.RLIMIT_CORE, (_NO_CORE, most))
