"""A model provider that is played, listening on a real socket."""

import threading
import time
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass

import uvicorn

from infra.llm_stub.app import Stub
from infra.llm_stub.scenario import Rule, Scenario
from tests.system.processes import free_port


@dataclass(frozen=True, slots=True)
class Played:
    """A stub that listens."""

    stub: Stub
    address: str

    @property
    def tokens(self) -> int:
        total = self.stub.usage()["total"]
        return int(total["input_tokens"]) + int(total["output_tokens"])


@contextmanager
def played(*rules: Rule, seed: int = 0) -> Generator[Played]:
    """Let a stub play rules, in a thread of its own."""
    stub = Stub(Scenario(seed=seed, rules=list(rules)))
    port = free_port()
    config = uvicorn.Config(
        stub.app(), port=port, log_level="critical", lifespan="off", ws="none", loop="asyncio"
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.005)
    try:
        yield Played(stub, f"http://127.0.0.1:{port}")
    finally:
        server.should_exit = True
        server.force_exit = True
        thread.join(10)
