"""``python -m infra.cli``: the command, wherever the interpreter is."""

from infra.cli.main import main

main()
