"""Examples for every operation that takes a body; a test sends each of them."""

from typing import Any, Final

_GOAL: Final[dict[str, Any]] = {
    "title": "Design and validate automotive component",
    "description": "Create a new brake caliper design with simulation validation",
    "domain": "automotive",
    "constraints": {"timeline": "30 days", "budget": 100000, "compliance": ["ISO 26262"]},
    "priority": "high",
}
_GRAPH: Final[dict[str, Any]] = {
    "tasks": [
        {"id": "design", "name": "Initial design", "agent": "CAD", "duration": "8 hours"},
        {
            "id": "check",
            "name": "Check the design",
            "agent": "COMP",
            "depends_on": ["design"],
            "duration": "2 hours",
        },
    ]
}
PATHS: Final[dict[str, Any]] = {
    "plan_id": "plan_0199f2c4-5b1e-7c3a-9d2e-1f4a6b8c0d2e",
    "execution_id": "exec_0199f2c4-5b1e-7c3a-9d2e-1f4a6b8c0d2e-1",
    "task_id": "design",
    "agent_id": "cad-1",
    "agent_type": "CAD",
    "queue_id": "exec_0199f2c4-5b1e-7c3a-9d2e-1f4a6b8c0d2e",
    "subscription_id": "sub_0199f2c4-5b1e-7c3a-9d2e-1f4a6b8c0d2e",
    "letter_id": 1,
    "redrive_id": 1,
    "position": 1,
    "user_id": "usr_0199f2c4",
    "key_id": "0199f2c4",
}
"""What stands in a path."""

_WHY: Final = {"reason": "the supplier has called"}
BODIES: Final[dict[str, Any]] = {
    "create_plan": {"goal": _GOAL, "task_graph": _GRAPH},
    "approve_plan": {"revision": 1, "reason": "as discussed"},
    "amend_plan": {"revision": 1, "task_graph": _GRAPH, "reason": "fewer steps"},
    "reject_plan": {"revision": 1, "reason": "too dear"},
    "replan": {
        "reason": "task_failure",
        "failed_task_id": "design",
        "constraints": {"preserve_completed": True, "max_delay": "2 days"},
    },
    "start_execution": {
        "plan_id": PATHS["plan_id"],
        "execution_mode": "parallel",
        "options": {"checkpoint_interval": "1 hour", "failure_strategy": "replan"},
    },
    "pause_execution": _WHY,
    "cancel_execution": _WHY,
    "roll_back_execution": {"checkpoint_id": "checkpoint_001", "reason": "wrong material"},
    "retry_task": _WHY,
    "skip_task": _WHY,
    "register_agent": {
        "agent_id": "cad-1",
        "agent_type": "CAD",
        "capabilities": ["brake_caliper"],
        "capacity": {"max_concurrent_tasks": 5, "max_queue_size": 20},
        "metadata": {"version": "1.0.0"},
        "protocol": {"encodings": ["gzip", "identity"], "signatures": ["hmac-sha256"]},
    },
    "discard_dead_letters": {"reason": "of a test", "chosen": {"group": "0123456789ab"}},
    "redrive_dead_letters": {"chosen": {"reason": "bad-schema"}, "rate": 10, "canary": 1},
    "edit_dead_letter": {"body": {"repaired": True}, "why": "a field was misspelt"},
    "discard_dead_letter": {"reason": "of a test"},
    "redrive_dead_letter": {"why": "the agent is repaired"},
    "invoke_agent": {"action": "plan", "payload": {"goal": "A light bracket"}, "timeout": 5},
    "enqueue_task": {
        "task_id": "simulate",
        "agent_type": "SIM",
        "priority": "high",
        "payload": {"design": "caliper-7"},
    },
    "publish_message": {
        "topic": "inventory.low",
        "payload": {"part": "M8", "left": 12},
        "priority": "normal",
    },
    "subscribe": {
        "agent_id": "cad-1",
        "topics": ["task.completed"],
        "filters": {"agent_type": "CAD"},
    },
    "log_in": {"login": "ann", "password": "correct horse battery staple"},
    "refresh": {"refresh_token": "the refresh_token of the last answer"},
    "change_password": {
        "old_password": "correct horse battery staple",
        "new_password": "an even longer sentence that nobody guesses",
    },
    "add_user": {
        "login": "ben",
        "password": "a sentence that nobody guesses",
        "name": "Ben",
        "role": "user",
    },
    "change_user": {"name": "Benjamin"},
    "make_key": {"name": "nightly reports", "expires_in_days": 30},
}
"""By the names of operations."""
