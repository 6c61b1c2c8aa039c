"""What language models have cost, as a table for people."""

from typing import Any

from infra.cli.output import print_table, say, table


def show(answer: dict[str, Any]) -> None:
    """Print a line for each attempt and model, and what it comes to."""
    attempts: list[dict[str, Any]] = answer["attempts"]
    if not attempts:
        say("no language model was called")
        return
    made = table(
        "task", ">attempt", "model", ">calls", ">failed", ">cached", ">in", ">out", ">cost"
    )
    for each in attempts:
        made.add_row(
            each["task_id"],
            str(each["attempt"]),
            f"{each['provider']} {each['model']}",
            *_amount(each),
        )
    made.add_row("in all", "", "", *_amount(answer["total"]))
    print_table(made)
    total = answer["total"]
    if total["doubt_tokens"]:
        say(
            f"besides, at most {total['doubt_tokens']} tokens of calls whose end nobody heard"
            f" (${total['doubt_cost']:.6f})"
        )
    if budget := answer["budget"]:
        bounds = [
            *([f"{budget['tokens']} tokens"] if budget["tokens"] is not None else []),
            *([f"${budget['cost']:g}"] if budget["cost"] is not None else []),
        ]
        say(f"its planning may cost {' and '.join(bounds) or 'anything'}")


def _amount(amount: dict[str, Any]) -> tuple[str, ...]:
    cost = f"${amount['cost']:.6f}"
    if amount["unpriced"]:
        cost = "not known" if not amount["cost"] else f"{cost} and more"
    return (
        str(amount["calls"]),
        str(amount["failed"] + amount["malformed"]),
        str(amount["cached"]),
        str(amount["input_tokens"]),
        str(amount["output_tokens"]),
        cost,
    )
