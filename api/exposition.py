"""Metrics for Prometheus: what the API tells as JSON elsewhere, and how this process answers.

What is told of the system is the same at every process of the API: of several, take one (``max``).
What begins with ``taskloom_http`` or ``process`` is each one's own.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Final

from fastapi import APIRouter, Header, Request, Response
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from api.deps import Ports
from api.metrics import Viewer, show_metrics
from api.metrics_answers import SystemMetrics
from api.queue import QueuesAnswer, show_queues
from api.reading import Reading
from api.status import StatusReport, show_status
from projections.usage import USAGE, ModelTotals, spent_by_model

router = APIRouter(tags=["metrics"])

Samples = Mapping[tuple[str, ...], float | None]
"""Values by their labels; what nobody knows is left out."""

_KIND: Final = ("role", "agent_type")
_LANE: Final = (*_KIND, "priority")
_MODEL: Final = ("provider", "model")


class Exposition(Response):
    """Text, in the form that whoever asks understands."""

    media_type = "text/plain"


@router.get("/metrics", response_class=Exposition)
async def expose_metrics(
    request: Request,
    views: Reading,
    ports: Ports,
    caller: Viewer,
    accept: Annotated[str, Header(include_in_schema=False)] = "",
) -> Response:
    """Tell Prometheus how the system and this process do, in its text format or OpenMetrics."""
    status = await show_status(ports)
    system = await show_metrics(views, ports, caller)
    queues = await show_queues(views, ports, caller)
    async with views.snapshot(USAGE) as read:
        spent = await spent_by_model(read.connection)
    letters = await ports.letters.count()
    told = [
        *_of_status(status),
        _gauge("dead_letters", "Dead letters that nobody has decided about.", {(): letters}),
        *_of_system(system),
        *_of_queues(queues),
        *_of_models(spent),
    ]
    text, media_type = request.app.state.meter.write(told, accept)
    return Response(text, media_type=media_type)


def _of_status(status: StatusReport) -> Iterator[Metric]:
    up: Samples = {
        (name,): float(state != "unhealthy") for name, state in status.components.items()
    }
    behind: Samples = {(view.view,): float(view.behind) for view in status.views}
    stopped: Samples = {(view.view,): float(view.failed_at is not None) for view in status.views}
    yield _gauge("info", "Which version answers.", {(status.version,): 1}, "version")
    yield _gauge("component_up", "Whether a part of the system works.", up, "component")
    yield _gauge("log_position", "The last event of the log.", {(): status.position})
    yield _gauge("view_lag_events", "How far a view is behind the log.", behind, "view")
    yield _gauge("view_stopped", "Whether a view cannot fold an event.", stopped, "view")


def _of_system(metrics: SystemMetrics) -> Iterator[Metric]:
    system, tasks, agents = metrics.system, metrics.tasks, metrics.agents
    fast = metrics.performance
    executions: Samples = {
        ("active",): system.active_executions,
        ("completed",): system.completed_executions,
        ("failed",): system.failed_executions,
    }
    of_tasks: Samples = {
        ("pending",): tasks.pending,
        ("in_progress",): tasks.in_progress,
        ("completed",): tasks.completed,
        ("failed",): tasks.failed,
    }
    of_agents: Samples = {
        ("active",): agents.active,
        ("idle",): agents.idle,
        ("registered",): agents.total_registered,
    }
    averages: Samples = {
        ("planning",): fast.avg_planning_time_seconds,
        ("execution",): fast.avg_execution_time_seconds,
        ("task",): fast.avg_completion_time_seconds,
    }
    yield _counter("plans", "Plans that were asked for.", {(): system.total_plans})
    yield _gauge("executions", "Executions of plans.", executions, "status")
    yield _gauge("tasks", "Tasks of executions.", of_tasks, "status")
    yield _gauge(
        "task_success_ratio",
        "Completed tasks, of these and the failed ones.",
        {(): fast.success_rate},
    )
    yield _gauge("average_duration_seconds", "How long it takes, on average.", averages, "of")
    yield _gauge(
        "agents", "Registered agents; of these the active, of these the idle.", of_agents, "status"
    )
    yield _gauge(
        "agent_utilization_ratio",
        "How much active agents have in hand of what they may.",
        {(): agents.avg_utilization},
    )


def _of_queues(answer: QueuesAnswer) -> Iterator[Metric]:
    queues = {(one.role, one.agent_type): one for one in answer.queues}
    lanes = {(*kind, lane.priority): lane for kind, one in queues.items() for lane in one.lanes}
    pending: Samples = {key: lane.pending_tasks for key, lane in lanes.items()}
    ready: Samples = {key: lane.in_queue for key, lane in lanes.items()}
    yield _gauge(
        "queue_pending_tasks", "Dispatched tasks that no agent has begun.", pending, *_LANE
    )
    yield _gauge("queue_messages", "What waits in a queue of the broker.", ready, *_LANE)
    processing: Samples = {key: one.processing_tasks for key, one in queues.items()}
    delayed: Samples = {key: one.delayed_tasks for key, one in queues.items()}
    waited: Samples = {key: one.avg_wait_time_seconds for key, one in queues.items()}
    agents: Samples = {key: one.active_agents for key, one in queues.items()}
    places: Samples = {key: one.places for key, one in queues.items()}
    yield _gauge("queue_processing_tasks", "Tasks that agents have in hand.", processing, *_KIND)
    yield _gauge("queue_delayed_tasks", "Tasks whose next attempt is not due.", delayed, *_KIND)
    yield _gauge("queue_wait_seconds", "How long work has waited of late.", waited, *_KIND)
    yield _gauge("queue_agents", "Active agents.", agents, *_KIND)
    yield _gauge("queue_places", "How many tasks they take at once.", places, *_KIND)


def _of_models(spent: Sequence[ModelTotals]) -> Iterator[Metric]:
    models = {(one.provider, one.model): one for one in spent}
    calls: Samples = {key: one.calls for key, one in models.items()}
    failed: Samples = {key: one.failed for key, one in models.items()}
    cost: Samples = {key: one.cost for key, one in models.items()}
    seconds: Samples = {key: one.seconds for key, one in models.items()}
    tokens: Samples = {
        (*key, direction): count
        for key, one in models.items()
        for direction, count in (("input", one.input_tokens), ("output", one.output_tokens))
    }
    yield _counter("model_calls", "Calls of language models.", calls, *_MODEL)
    yield _counter("model_failed_calls", "Those without an answer.", failed, *_MODEL)
    yield _counter("model_tokens", "Tokens that they have taken.", tokens, *_MODEL, "direction")
    yield _counter("model_cost_dollars", "What they have cost.", cost, *_MODEL)
    yield _counter("model_seconds", "How long they took, one after the other.", seconds, *_MODEL)


def _gauge(name: str, said: str, samples: Samples, *labels: str) -> Metric:
    family = GaugeMetricFamily(f"taskloom_{name}", said, labels=labels)
    return _filled(family, samples)


def _counter(name: str, said: str, samples: Samples, *labels: str) -> Metric:
    family = CounterMetricFamily(f"taskloom_{name}", said, labels=labels)
    return _filled(family, samples)


def _filled(family: GaugeMetricFamily | CounterMetricFamily, samples: Samples) -> Metric:
    for labels, value in samples.items():
        if value is not None:
            family.add_metric(labels, value)
    return family
