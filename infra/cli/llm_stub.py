"""``taskloom llm-stub``: a server that plays a model provider, for tests of agents."""

from typing import Annotated

import typer


def llm_stub(
    scenario: Annotated[
        str, typer.Argument(metavar="SCENARIO", help="A name such as helpful or 429, or a file.")
    ] = "helpful",
    port: Annotated[int, typer.Option(min=0, max=65_535, help="Where to listen; 0 is any.")] = 8900,
    host: Annotated[str, typer.Option(help="The address to bind.")] = "127.0.0.1",
) -> None:
    """Play OpenAI and Anthropic with answers from a script; no model is behind it.

    It proves plumbing, not intelligence: what it answers by itself is the draft it was sent.
    """
    import logging

    import uvicorn

    from infra.cli.output import print_json, say
    from infra.llm_stub.app import Stub
    from infra.llm_stub.scenario import scenario as play
    from infra.services.ports import free_port

    stub = Stub(play(scenario), remember=1)
    number = port or free_port()
    say(f"scripted answers ({scenario}), no model; Ctrl-C ends it and prints what was used")
    say(f"  TASKLOOM_LLM__OPENAI__URL=http://{host}:{number}/v1")
    say(f"  TASKLOOM_LLM__ANTHROPIC__URL=http://{host}:{number}")
    logging.getLogger("uvicorn.error").setLevel(logging.CRITICAL)  # cut connections are on purpose
    uvicorn.run(stub.app(), host=host, port=number, log_config=None, access_log=False)
    print_json(stub.usage())
