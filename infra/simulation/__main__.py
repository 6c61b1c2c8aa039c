"""``python -m infra.simulation --seeds 1-3000``: thin, for whoever looks for a seed."""

import argparse
import sys
import time

from infra.simulation.hunting import plant_of, selftest, survey
from infra.simulation.simulate import simulate


def main() -> int:
    """Simulate what the arguments say; 0 when every promise was kept."""
    parser = argparse.ArgumentParser(prog="python -m infra.simulation", description=__doc__)
    parser.add_argument("--seeds", default="1-3000", help="FIRST-LAST, or one")
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--plant", help="a bug to plant meanwhile")
    parser.add_argument("--selftest", action="store_true", help="plant every bug in turn")
    parser.add_argument("--trace", action="store_true", help="print all that happens in one seed")
    given = parser.parse_args()
    first, _, last = given.seeds.partition("-")
    seeds = range(int(first), int(last or first) + 1)
    if given.selftest:
        return _selftest(given.processes)
    if given.trace or given.plant:
        plant = plant_of(given.plant) if given.plant else None
        verdict = simulate(seeds[0], plant=plant, is_kept=given.trace)
        _print(*verdict.lines, *verdict.violations, f"trace {verdict.checksum}")
        return 0 if verdict.is_good else 1
    return _survey(seeds, given.processes)


def _survey(seeds: range, processes: int) -> int:
    began, events, faults = time.monotonic(), 0, 0
    for count, verdict in enumerate(survey(seeds, processes=processes), start=1):
        events += verdict.events
        faults += sum(verdict.faults.values())
        if not verdict.is_good:
            _print(
                f"seed {verdict.seed} breaks a promise:",
                *verdict.violations,
                f"again: python -m infra.simulation --seeds {verdict.seed} --trace",
            )
            return 1
        if count % 100 == 0 or count == len(seeds):
            pace = count / (time.monotonic() - began)
            _print(f"{count} seeds, {events} events, {faults} faults, {pace:.1f} seeds/s")
    return 0


def _selftest(processes: int) -> int:
    missed = 0
    for catch in selftest(processes=processes):
        missed += not catch.is_right
        found = f"seed {catch.seed}: {catch.violation}" if catch.violation else "NOT FOUND"
        _print(f"{catch.plant:26} {found}")
    return 1 if missed else 0


def _print(*lines: object) -> None:
    sys.stdout.writelines(f"{line}\n" for line in lines)
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
