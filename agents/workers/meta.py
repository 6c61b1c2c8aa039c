"""The META worker: requirements, risks, estimates, compliance, budget, release."""

from agents.agent import Agent
from agents.skills.compliance import (
    audit,
    checklist,
    compliance_matrix,
    decide_release,
    scope_compliance,
)
from agents.skills.governance import (
    assess_risks,
    estimate_effort,
    extract_requirements,
    plan_mitigation,
    roll_up_budget,
)
from agents.skills.validation import define_acceptance, evaluate_acceptance

AGENT = Agent(
    type="META",
    actions={
        "scope_compliance": scope_compliance,
        "extract_requirements": extract_requirements,
        "checklist": checklist,
        "assess_risks": assess_risks,
        "plan_mitigation": plan_mitigation,
        "estimate_effort": estimate_effort,
        "compliance_matrix": compliance_matrix,
        "audit": audit,
        "roll_up_budget": roll_up_budget,
        "decide_release": decide_release,
        # Whoever writes the requirements down can judge by them what others have shown.
        "define_acceptance": define_acceptance,
        "evaluate_acceptance": evaluate_acceptance,
    },
    capabilities=("requirements", "compliance", "risk", "estimation", "coordination"),
)
