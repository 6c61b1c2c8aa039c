"""Work goes on soon after a process has died or stands still.

How soon, ``python -m tests.bench.failover`` says.

The bound here is one that a busy machine keeps as well, and a broker's own patience does not.
"""

from pathlib import Path

import pytest

from tests.bench.failover import STRIKES, failing_over

pytestmark = [pytest.mark.system, pytest.mark.real, pytest.mark.timeout(240)]

SOON = 10.0


def test_work_goes_on_soon_after_any_process_is_struck(
    tmp_path: Path, database: str, vhost_url: str
) -> None:
    with failing_over(tmp_path, database, vhost_url) as stack:
        pauses = {
            name: max(measure(stack, number, times=1))
            for name, (measure, number) in STRIKES.items()
        }
    late = {name: pause for name, pause in pauses.items() if pause > SOON}
    assert not late, f"seconds until work went on: {late}"
