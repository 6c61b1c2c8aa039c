"""The solver's process: one problem on its input, one solution on its output.

The model is the usual one for CP-SAT: an interval for each activity, within what the critical path
and the known schedule leave to it, and one cumulative constraint for each resource.
"""

import sys

from ortools.sat.python import cp_model

from agents.optimizing.problem import Problem, Solution
from domain.scheduling.schedules import SolverStatus


def solve(problem: Problem) -> Solution:
    """Return the best schedule that is found in time; never one longer than the known one."""
    model = cp_model.CpModel()
    starts = [
        model.new_int_var(earliest, problem.makespan - tail, f"start {each}")
        for each, (earliest, tail) in enumerate(zip(problem.earliest, problem.tails, strict=True))
    ]
    makespan = model.new_int_var(problem.bound, problem.makespan, "makespan")
    for each, duration in enumerate(problem.durations):
        for follower in problem.after[each]:
            model.add(starts[follower] >= starts[each] + duration)
        if not problem.after[each]:
            model.add(makespan >= starts[each] + duration)
        model.add_hint(starts[each], problem.starts[each])
    model.add_hint(makespan, problem.makespan)
    intervals = [
        model.new_fixed_size_interval_var(start, duration, f"activity {each}")
        for each, (start, duration) in enumerate(zip(starts, problem.durations, strict=True))
    ]
    for resource, capacity in enumerate(problem.capacities):
        users = [e for e, demand in enumerate(problem.demands) if demand[resource]]
        model.add_cumulative(
            [intervals[each] for each in users],
            [problem.demands[each][resource] for each in users],
            capacity,
        )
    model.minimize(makespan)
    solver = cp_model.CpSolver()
    solver.parameters.max_time_in_seconds = problem.seconds
    solver.parameters.num_workers = problem.workers
    solver.parameters.random_seed = 1
    outcome = solver.solve(model)
    if outcome not in (cp_model.OPTIMAL, cp_model.FEASIBLE):
        return Solution(status="unknown", starts=problem.starts, bound=problem.bound)
    status: SolverStatus = "optimal" if outcome == cp_model.OPTIMAL else "feasible"
    return Solution(
        status=status,
        starts=[solver.value(start) for start in starts],
        # It comes as a fraction: a hair below a whole number is that number.
        bound=max(problem.bound, round(solver.best_objective_bound)),
    )


def main() -> None:
    """Solve the problem on standard input."""
    problem = Problem.model_validate_json(sys.stdin.buffer.read())
    sys.stdout.write(solve(problem).model_dump_json())


if __name__ == "__main__":
    main()
