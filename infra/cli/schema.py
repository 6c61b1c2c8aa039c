"""``taskloom schema``: the descriptions of the API and of the bus, for generators and linters."""

import json

import typer

app = typer.Typer(help="Print what other systems can rely on.", no_args_is_help=True)


@app.command()
def openapi() -> None:
    """Print the OpenAPI description of the HTTP API."""
    from importlib.metadata import version

    from api.app import described

    print(json.dumps(described(version("taskloom")), indent=1, ensure_ascii=False))


@app.command()
def asyncapi() -> None:
    """Print the AsyncAPI description of the messages on the bus."""
    from importlib.metadata import version

    from bus.asyncapi import document

    print(json.dumps(document(version("taskloom")), indent=1, ensure_ascii=False))
