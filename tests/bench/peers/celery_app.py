"""What runs inside Celery's own environment: no import of ours.

``python celery_app.py COUNT`` submits so many tasks and prints the seconds until the last result is
committed; ``celery -A celery_app worker`` carries them out.
"""

import os
import sys
import time

import psycopg
from celery import Celery

app = Celery("peer", broker=os.environ["PEER_AMQP_URL"], backend=os.environ["PEER_RESULTS"])
app.conf.update(
    task_acks_late=True,
    task_reject_on_worker_lost=True,
    broker_transport_options={"confirm_publish": True},
    task_default_delivery_mode="persistent",
    worker_prefetch_multiplier=16,
    worker_hijack_root_logger=False,
)


@app.task(name="noop")
def noop(number: int) -> int:
    """Do nothing."""
    return number


def main(count: int) -> None:
    """Submit, wait, and print the seconds."""
    noop.delay(-1).get(timeout=60)  # the worker is up, and its tables are made
    results = psycopg.connect(os.environ["PEER_RESULTS"].removeprefix("db+"), autocommit=True)
    cursor = results.cursor()
    begin = time.perf_counter()
    for number in range(count):
        noop.delay(number)
    done = 0
    while done < count + 1:
        time.sleep(0.05)
        cursor.execute("select count(*) from celery_taskmeta where status = 'SUCCESS'")
        row = cursor.fetchone()
        done = row[0] if row else 0
    print(time.perf_counter() - begin)


if __name__ == "__main__":
    main(int(sys.argv[1]))
