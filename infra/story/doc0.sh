#!/bin/sh
# The six stages of the specification's API, told with curl, against a running `taskloom up`.
#
#   infra/story/doc0.sh                      asks http://127.0.0.1:8000
#   TASKLOOM_TOKEN=… infra/story/doc0.sh     as the admin whom `taskloom up` has printed a token for
#   TASKLOOM_URL=… …                         asks elsewhere
#
# Each step prints what is asked and what is answered; an unexpected status ends the story.
set -eu

base="${TASKLOOM_URL:-http://127.0.0.1:8000}"
api="$base/api/v1"
patience="${TASKLOOM_PATIENCE:-120}" # seconds for the agents' work
shown=400                            # characters of each answer
answer=$(mktemp)
trap 'rm -f "$answer"' EXIT

stage() { printf '\n== %s\n' "$*"; }
fail() { printf '\n!! %s\n' "$*" >&2; exit 1; }

# ask STATUS METHOD PATH [BODY]: ask, show both, and require the status.
ask() {
    wanted=$1 method=$2 path=$3 body=${4-}
    case $path in http*) url=$path ;; /api/*) url=$base$path ;; *) url=$api$path ;; esac
    printf '\n$ curl -X %s %s%s\n' "$method" "$url" "${body:+ -d '$body'}"
    status=$(send)
    head -c "$shown" "$answer" | tr -d '\000'
    printf '\n'
    case " $wanted " in *" $status "*) ;; *) cat "$answer" >&2; fail "$method $path: $status, not $wanted" ;; esac
}

send() {
    set -- -sS -o "$answer" -w '%{http_code}' --max-time 60 -X "$method" "$url"
    if [ -n "${TASKLOOM_TOKEN:-}" ]; then set -- "$@" -H "Authorization: Bearer $TASKLOOM_TOKEN"; fi
    if [ -n "$body" ]; then set -- "$@" -H 'Content-Type: application/json' -d "$body"; fi
    curl "$@"
}

# field NAME: the first text of that name in the last answer.
field() { grep -o "\"$1\": *\"[^\"]*\"" "$answer" | head -n 1 | cut -d '"' -f 4; }

# says NAME...: require fields in the last answer.
says() {
    for name in "$@"; do
        grep -q "\"$name\":" "$answer" || fail "the answer does not say $name"
    done
}

# until_status PATH STATUS: ask quietly until the first status of the answer is that one.
until_status() {
    printf '\n… until %s is %s\n' "$1" "$2"
    method=GET url=$api$1 body='' waited=0
    while send >/dev/null && [ "$(field status)" != "$2" ]; do
        case $(field status) in failed | cancelled) cat "$answer" >&2; fail "$1 is $(field status)" ;; esac
        waited=$((waited + 1))
        [ "$waited" -lt "$patience" ] || { cat "$answer" >&2; fail "$1 is not $2 in time"; }
        sleep 1
    done
}

# listen PATH TYPE...: follow events for a few seconds, and require messages of these types.
listen() {
    path=$1; shift
    printf '\n$ curl -N %s%s\n' "$api" "$path"
    curl -sSN --max-time 5 ${TASKLOOM_TOKEN:+-H "Authorization: Bearer $TASKLOOM_TOKEN"} \
        "$api$path" >"$answer" || [ $? -eq 28 ] # it never ends by itself
    head -c "$shown" "$answer"
    printf '\n'
    for type in "$@"; do
        grep -q "\"type\":\"$type\"" "$answer" || fail "nothing tells of $type"
    done
}

goal='"goal": {"title": "Design and validate automotive component", "description": "Create a new brake caliper design with simulation validation", "domain": "automotive", "constraints": {"timeline": "30 days", "budget": 100000, "compliance": ["ISO 26262", "IATF 16949"]}, "priority": "high"}'
options='"options": {"auto_execute": false, "enable_replanning": true, "parallelization": "aggressive"}'

stage "Stage 1: a goal becomes a plan"
ask "201 202" POST "/plans/create?wait=20" "{$goal, $options}"
says plan_id status created_at estimated_completion task_count agents_assigned message
plan=$(field plan_id)
until_status "/plans/$plan" ready
ask 200 GET "/plans/$plan"
says goal task_graph nodes edges dependencies estimated_duration metrics critical_path_length
ask 200 GET "/plans/$plan/graph"
says format critical_path visualization_url
picture=$(field visualization_url)
ask 200 GET "$picture"
ask 200 GET "/plans/$plan/schedule"
says algorithm makespan time_slots resource_utilization

ask "201 202" POST "/plans/create?wait=20" "{$goal, $options}"
other=$(field plan_id)
until_status "/plans/$other" ready
# Simulations can be replaced by formulas: the planners know another way.
task=$(grep -o '"task_id":"[^"]*","name":"[^"]*","agent":"SIM"' "$answer" | head -n 1 | cut -d '"' -f 4)
ask 202 POST "/plans/$other/replan?wait=20" "{\"reason\": \"task_failure\", \"failed_task_id\": \"$task\", \"constraints\": {\"preserve_completed\": true, \"max_delay\": \"2 days\"}}"
says replan_id status changes estimated_impact
ask 200 DELETE "/plans/$other"
says plan_id status message

stage "Stage 2: the plan is carried out"
ask 201 POST /executions/start "{\"plan_id\": \"$plan\", \"execution_mode\": \"parallel\", \"options\": {\"dry_run\": false, \"checkpoint_interval\": \"1 hour\", \"failure_strategy\": \"replan\"}}"
says execution_id plan_id status started_at websocket_url
run=$(field execution_id)
ask 200 POST "/executions/$run/pause"
says paused_at checkpoint_id
ask 200 GET "/executions/$run"
says progress completed_tasks total_tasks percentage current_tasks elapsed_time estimated_remaining throughput
ask 200 POST "/executions/$run/resume"
says resumed_at resumed_from
until_status "/executions/$run" completed
ask 200 GET "/executions/$run/logs?level=info&limit=5&offset=0"
says logs timestamp level agent task_id message metadata total limit offset
ask 200 GET "/executions/$run/metrics"
says performance total_time planning_time execution_time parallelization_achieved resource_utilization quality retry_count
ask 201 POST /executions/start "{\"plan_id\": \"$plan\"}"
again=$(field execution_id)
ask 200 POST "/executions/$again/cancel"
says cancelled_at completed_tasks rollback_available

stage "Stage 3: agents come, are asked, and go"
ask 201 POST /agents/register '{"agent_type": "CAD", "agent_id": "cad_agent_002", "capabilities": ["design", "modeling", "validation"], "capacity": {"max_concurrent_tasks": 5, "max_queue_size": 20}, "metadata": {"version": "1.0.0", "llm_model": "gpt-4"}}'
says agent_id status registered_at token
ask 200 GET "/agents?type=CAD"
says agents total load tasks_completed uptime last_heartbeat
ask 200 GET /agents/cad_agent_001
says capabilities current_load capacity statistics health
ask 200 POST /agents/cad_agent_001/invoke '{"action": "plan", "payload": {"goal": "Design brake caliper", "constraints": {}}}'
says agent_id action status result execution_time
ask 200 DELETE /agents/cad_agent_002
says agent_id status message

stage "Stage 4: messages are published and heard, work is enqueued"
ask 201 POST /messages/subscribe '{"agent_id": "sim_agent_001", "topics": ["design.#", "task.completed"], "filters": {}}'
says subscription_id agent_id topics created_at
subscription=$(field subscription_id)
ask 202 POST /messages/publish '{"topic": "design.reviewed", "payload": {"drawing": 7, "verdict": "accepted"}, "priority": "normal"}'
says message_id topic published_at subscribers_notified
ask 200 DELETE "/messages/subscribe/$subscription"
says subscription_id status
ask 202 POST /queue/enqueue '{"task_id": "task_015", "agent_type": "NOOP", "action": "noop", "priority": "high", "payload": {"note": "nothing to do"}}'
says queue_id task_id position estimated_wait
ask 200 GET /queue/status
says queues agent_type pending_tasks processing_tasks avg_wait_time

stage "Stage 5: how everything is, and how it does"
ask 200 GET /status
says status version uptime components active_agents active_executions
ask 200 GET /metrics
says timestamp system total_plans success_rate agents avg_utilization performance throughput
ask 200 GET /metrics/agents/CAD
says instances total_tasks completed_tasks avg_task_duration
ask 200 GET "/analytics/plans?start_date=2020-01-01&domain=automotive"
says period analytics total_plans avg_complexity avg_makespan domains
ask 200 GET /analytics/benchmarks
says benchmarks scenario runs avg_planning_time avg_execution_time success_rate

stage "Stage 6: what happens is told while it happens"
listen "/executions/$run/events?after=0" task.started task.completed execution.status
listen "/agents/events?after=0" agent.registered

printf '\nThe story is told: every stage answered as it should.\n'
