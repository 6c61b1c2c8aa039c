"""The bill of materials as it evolves: drafted, decided, costed, verified, frozen."""

from dataclasses import asdict, dataclass

from agents.agent import CannotBeDone, Work
from agents.catalogue.shelf import Part, kind, suppliers
from agents.engineering.procurement import make_or_buy
from agents.reading import read, result, shaped
from agents.skills.asked import Asked, Chosen, asked, missing_of
from domain.values import JsonObject


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """A part and how many of it go into one set."""

    part: str
    category: str
    quantity: int
    is_carried_over: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Decided:
    """How one part is got, at which cost for one."""

    part: str
    choice: str
    unit_cost: float


async def search_reuse(work: Work) -> JsonObject:
    """Find the parts that can be carried over from earlier products."""
    parts = kind(asked(work).kind).parts
    carried = [part.name for part in parts if part.can_reuse]
    saved = sum(part.make_setup for part in parts if part.can_reuse)
    return result(
        f"{len(carried)} of {len(parts)} parts can be carried over",
        {"carried_over": carried, "share": len(carried) / len(parts), "setup_saved": saved},
    )


async def draft_bom(work: Work) -> JsonObject:
    """List the parts of one set, with the quantities that the facts ask for."""
    what = asked(work)
    carried = read(work, "reuse", set[str], part="carried_over") if "reuse" in work.inputs else ()
    lines = [
        Line(
            part=part.name,
            category=part.category,
            quantity=int(what.facts.get(part.quantity_fact, part.quantity)),
            is_carried_over=part.name in carried,
        )
        for part in kind(what.kind).parts
    ]
    pieces = sum(line.quantity for line in lines)
    return result(
        f"{len(lines)} parts, {pieces} pieces a set",
        {"lines": [asdict(line) for line in lines], "pieces": pieces},
    )


async def decide_make_or_buy(work: Work) -> JsonObject:
    """Compare making with buying for every part; tooling that is carried over is paid for."""
    what, sets = asked(work), asked(work).sets
    lines = {line.part: line for line in read(work, "bom-draft", tuple[Line, ...], part="lines")}
    decided = [make_or_buy(part, sets=sets) for part in _costed(what, lines)]
    making = [each.part for each in decided if each.choice == "make"]
    return result(
        f"For {sets} sets a year: make {', '.join(making) or 'nothing'}, buy the other"
        f" {len(decided) - len(making)}",
        {"sets": sets, "decisions": [asdict(each) for each in decided]},
    )


async def cost_bom(work: Work) -> JsonObject:
    """Add up what one set costs."""
    lines = read(work, "bom-draft", tuple[Line, ...], part="lines")
    costs = {
        each.part: each for each in read(work, "make-or-buy", tuple[Decided, ...], part="decisions")
    }
    if missing := sorted({line.part for line in lines} - set(costs)):
        raise CannotBeDone(f"nobody decided how to get {', '.join(missing)}")
    rows = [
        asdict(line)
        | {
            "choice": costs[line.part].choice,
            "unit_cost": costs[line.part].unit_cost,
            "cost": costs[line.part].unit_cost * line.quantity,
        }
        for line in lines
    ]
    whole = sum(costs[line.part].unit_cost * line.quantity for line in lines)
    dearest = max(rows, key=lambda row: (row["cost"], row["part"]))
    made_of = read(work, "material", Chosen).name if "material" in work.inputs else None
    return result(
        f"One set{f' in {made_of}' if made_of else ''} costs {whole:,.2f};"
        f" the dearest part is the {dearest['part']}",
        {"unit_cost": whole, "lines": rows} | ({"material": made_of} if made_of else {}),
    )


async def verify_components(work: Work) -> JsonObject:
    """Check that somebody with the certificates asked for sells every part."""
    names = shaped(work.params.get("certificates", []), set[str], where="the certificates")
    lines = read(work, "bom", tuple[Line, ...], part="lines")
    unverified = [
        line.part
        for line in lines
        if not any(
            line.category in each.categories and names <= set(each.certificates)
            for each in suppliers()
        )
    ]
    return result(
        f"{len(lines) - len(unverified)} of {len(lines)} parts have a certified source",
        {"certificates": sorted(names), "unverified": unverified, "is_compliant": not unverified},
    )


async def freeze_bom(work: Work) -> JsonObject:
    """Freeze the bill of materials, and say how it came from its draft."""
    bom = read(work, "bom", tuple[Decided, ...], part="lines")
    making = [each.part for each in bom if each.choice == "make"]
    open_points = [
        name
        for name, key in (
            ("component-compliance", "is_compliant"),
            ("design-release", "is_released"),
        )
        if work.inputs.get(name, {}).get(key) is False
    ]
    open_points += [name for name in missing_of(work) if name not in open_points]
    state = f"frozen with open points in {', '.join(open_points)}" if open_points else "frozen"
    return result(
        f"Revision A of {len(bom)} parts is {state}",
        {
            "revision": "A",
            "parts": len(bom),
            "made": making,
            "bought": [each.part for each in bom if each.choice != "make"],
            "open_points": open_points,
        },
    )


def _costed(what: Asked, lines: dict[str, Line]) -> list[Part]:
    """Return the parts of the draft, with its quantities and without tooling that is there."""
    return [
        part.model_copy(
            update={
                "quantity": lines[part.name].quantity,
                "make_setup": 0.0 if lines[part.name].is_carried_over else part.make_setup,
            }
        )
        for part in kind(what.kind).parts
        if part.name in lines
    ]
