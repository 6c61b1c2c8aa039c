"""``taskloom dlq``: the dead letters, messages that nobody could accept."""

import typer

from infra.cli.letters import deciding, looking, redriving, telling

app = typer.Typer(help="Dead letters: messages that nobody could accept.", no_args_is_help=True)

app.command("list")(looking.list_)
app.command()(looking.groups)
app.command()(looking.show)
app.command()(telling.rehearse)
app.command()(redriving.redrive)
app.command()(redriving.redrives)
app.command()(redriving.cancel)
app.command()(deciding.edit)
app.command()(deciding.discard)
app.command()(telling.export)
