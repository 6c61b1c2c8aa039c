"""The SUPP worker: suppliers, quotes, orders, stock."""

from agents.agent import Agent
from agents.skills.supply import (
    assess_supply_risk,
    choose_suppliers,
    request_quotes,
    schedule_orders,
    screen_suppliers,
    size_stock,
)

AGENT = Agent(
    type="SUPP",
    actions={
        "screen_suppliers": screen_suppliers,
        "request_quotes": request_quotes,
        "choose_suppliers": choose_suppliers,
        "assess_supply_risk": assess_supply_risk,
        "schedule_orders": schedule_orders,
        "size_stock": size_stock,
    },
    capabilities=("suppliers", "procurement", "logistics"),
)
