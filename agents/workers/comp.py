"""The COMP worker: reuse, bill of materials, make or buy, verification."""

from agents.agent import Agent
from agents.skills.bill import (
    cost_bom,
    decide_make_or_buy,
    draft_bom,
    freeze_bom,
    search_reuse,
    verify_components,
)

AGENT = Agent(
    type="COMP",
    actions={
        "search_reuse": search_reuse,
        "draft_bom": draft_bom,
        "decide_make_or_buy": decide_make_or_buy,
        "cost_bom": cost_bom,
        "verify_components": verify_components,
        "freeze_bom": freeze_bom,
    },
    capabilities=("components", "bom", "make-or-buy", "compliance"),
)
