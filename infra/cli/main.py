"""The command ``taskloom``. A verb is one file here and one line below."""

import logging
import os
import sys
from typing import NoReturn

import typer

from infra.cli import (
    agent,
    agent_key,
    agents,
    audit,
    chaos,
    config,
    db,
    demo,
    dlq,
    doctor,
    events,
    execution,
    forget,
    llm_stub,
    plan,
    projection,
    queue,
    rabbitmq,
    replay,
    run,
    schedule,
    schema,
    serve,
    up,
    user,
    version,
    why,
)
from infra.cli.exits import Exit

app = typer.Typer(
    name="taskloom",
    help="Plans and runs the work of teams of agents. Everything that happens is an event.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

app.command()(up.up)
app.command()(demo.demo)
app.command()(run.run)
app.add_typer(plan.app, name="plan")
app.add_typer(execution.app, name="execution")
app.add_typer(schedule.app, name="schedule")
app.add_typer(schema.app, name="schema")
app.command()(replay.replay)
app.add_typer(events.app, name="events")
app.add_typer(projection.app, name="projection")
app.add_typer(dlq.app, name="dlq")
app.add_typer(audit.app, name="audit")
app.command()(forget.forget)
app.command()(why.why)
app.command()(doctor.doctor)
app.add_typer(chaos.app, name="chaos")
app.add_typer(db.app, name="db")
app.add_typer(user.app, name="user")
app.add_typer(config.app, name="config")
app.add_typer(agent_key.app, name="agent-key")
app.add_typer(rabbitmq.app, name="rabbitmq")
app.command()(serve.serve)
app.command()(agent.agent)
app.add_typer(agents.app, name="agents")
app.add_typer(queue.app, name="queue")
app.command("llm-stub")(llm_stub.llm_stub)
app.command()(version.version)


def main() -> NoReturn:
    """Run the command and end the process."""
    for library in ("aio_pika", "aiormq"):
        # Where no log is configured, Python would print their warnings; we say them in our words.
        logging.getLogger(library).addHandler(logging.NullHandler())
    try:
        app()
    except BrokenPipeError:
        # Who read our output has seen enough. Python would complain again when it flushes.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(Exit.FAILURE)
    except Exception as error:
        if os.environ.get("TASKLOOM_DEBUG"):
            raise
        from infra.cli.failures import explain

        code, message = explain(error)
        print(f"taskloom: {message}", file=sys.stderr)
        sys.exit(code)
    sys.exit(Exit.OK)
