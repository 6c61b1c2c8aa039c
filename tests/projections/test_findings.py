"""What was found about a plan is kept in the order in which it was found."""

from domain.findings import Conflict, Origin
from domain.goals import Goal
from domain.plan import GoalSubmitted, GraphProposed
from projections.findings import FINDINGS
from projections.view import fold_into
from tests.support.histories import History
from tests.support.making import task

CONFLICT = Conflict(
    kind="order",
    subject="design",
    origins=(Origin(domain="CAD", key="draw"), Origin(domain="SIM", key="bend")),
    decision="CAD draw does not wait",
)


def test_a_view_keeps_what_was_found_in_its_order() -> None:
    history = History()
    history.say(GoalSubmitted(plan_id="plan_1", goal=Goal(title="A rover")))
    history.say(
        GraphProposed(
            plan_id="plan_1",
            run_id="exec_1-plan",
            tasks=(task("a"),),
            conflicts=(CONFLICT, CONFLICT),
            missing=("a wheel", "a seat"),
        )
    )
    rows = fold_into(FINDINGS, {}, history.events)
    kinds = [row.kind for _, row in sorted(rows.items(), key=lambda item: item[0]) if row]
    assert kinds == ["order", "order", "missing", "missing"]
