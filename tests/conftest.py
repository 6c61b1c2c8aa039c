"""The servers of the tests, and the promise that nothing is left out silently."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from functools import partial
from typing import Any

import pytest
import structlog

from infra.migrations import upgrade
from tests.support.brokers import can_start_node
from tests.support.browser import can_browse
from tests.support.databases import Copies, fresh_database, private_cluster
from tests.support.ground import Ground, requires_real
from tests.support.services import Servers
from tests.support.telling import TOLD, Tell

_SERVERS = pytest.StashKey[Servers]()
_LEFT_OUT = pytest.StashKey[list[str]]()


def pytest_configure(config: pytest.Config) -> None:
    servers = config.stash[_SERVERS] = Servers()
    # Traces that are drawn take minutes where one is logged for every request.
    plain = structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)
    structlog.configure(processors=[*structlog.get_config()["processors"][:-1], plain])
    config.add_cleanup(servers.end)
    config.addinivalue_line(
        "markers", "proves(*ids): proves rows of api/CONTRACT.md or infra/ATTACKS.md"
    )


def pytest_report_header(config: pytest.Config) -> list[str]:
    servers = config.stash[_SERVERS]
    lines = [
        f"PostgreSQL: {servers.postgres_choice.description}",
        f"RabbitMQ: {servers.rabbitmq_choice.description}",
    ]
    for mark, need in _missing(servers).items():
        lines.append(f"NOT RUN without {need}: tests marked {mark!r}, listed at the end")
    return lines


def _missing(servers: Servers) -> Mapping[str, str]:
    """Return what tests of a mark need and this machine has not, with the way to have it."""
    needs = {
        "real": (
            servers.rabbitmq_choice.is_real,
            "RabbitMQ (start one on 127.0.0.1:5672, start Docker, install rabbitmq-server, or set"
            " TASKLOOM_TEST_AMQP_URL)",
        ),
        "node": (can_start_node(), "the programs of RabbitMQ (install rabbitmq-server)"),
        "browser": (can_browse(), "a browser (install chromium)"),
    }
    return {mark: need for mark, (is_there, need) in needs.items() if not is_there}


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    missing = _missing(config.stash[_SERVERS])
    left_out = [item for item in items if any(map(item.get_closest_marker, missing))]
    if left_out and requires_real():
        raise pytest.UsageError(
            f"TASKLOOM_TEST_REQUIRE=real, but {len(left_out)} tests need what is missing here: "
            + "; ".join(missing.values())
        )
    if left_out:
        items[:] = [item for item in items if item not in left_out]
        config.stash[_LEFT_OUT] = [item.nodeid for item in left_out]
        if (told := getattr(config, "workeroutput", None)) is not None:
            told["left_out"] = config.stash[_LEFT_OUT]
        config.hook.pytest_deselected(items=left_out)


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """Hear from a process that runs a part of the tests what it has left out."""
    if left_out := getattr(node, "workeroutput", {}).get("left_out"):
        node.config.stash[_LEFT_OUT] = left_out  # all of them collect the same


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    reports = [
        one for how in ("passed", "failed", "skipped") for one in terminalreporter.getreports(how)
    ]
    lines = [line for one in reports for name, line in one.user_properties if name == TOLD]
    if lines:
        terminalreporter.section("told")
    for line in lines:
        terminalreporter.write_line(str(line))
    left_out = config.stash.get(_LEFT_OUT, None)
    if not left_out:
        return
    needs = "; ".join(_missing(config.stash[_SERVERS]).values())
    terminalreporter.section("NOT RUN", sep="!", red=True, bold=True)
    for nodeid in left_out:
        terminalreporter.write_line(nodeid, red=True)
    terminalreporter.write_line(
        f"{len(left_out)} tests were NOT RUN without {needs}. TASKLOOM_TEST_REQUIRE=real makes this"
        " a failure.",
        red=True,
        bold=True,
    )


@pytest.fixture
def tell(record_property: Callable[[str, object], None]) -> Tell:
    """Say a line at the end of the run."""
    return partial(record_property, TOLD)


@pytest.fixture(scope="session")
def servers(request: pytest.FixtureRequest) -> Servers:
    """The servers of this run."""
    return request.config.stash[_SERVERS]


@pytest.fixture(scope="session")
def postgres_dsn(servers: Servers) -> str:
    """The connection URL of a PostgreSQL where databases may be made."""
    return servers.dsn


@pytest.fixture(scope="session")
def rabbitmq_url(servers: Servers) -> str:
    """The AMQP URL of a broker; RabbitMQ itself in tests marked ``real``."""
    return servers.rabbitmq.url


@pytest.fixture(scope="session")
def databases(postgres_dsn: str) -> Iterator[Copies]:
    """Copies of a migrated database."""
    with fresh_database(postgres_dsn) as dsn:
        upgrade(dsn)
        copies = Copies(postgres_dsn, dsn.rpartition("/")[2])
        try:
            yield copies
        finally:
            copies.end()


@pytest.fixture
def database(databases: Copies) -> Iterator[str]:
    """The connection URL of a fresh, migrated database, dropped after the test."""
    with databases.one() as dsn:
        yield dsn


@pytest.fixture(scope="module")
def durable_postgres() -> Iterator[str]:
    """The connection URL of a PostgreSQL with the settings that the log's safety needs."""
    with closing(Ground()) as ground:
        yield private_cluster(ground, durable=True)


@pytest.fixture
def durable_database(durable_postgres: str) -> Iterator[str]:
    """The connection URL of a migrated database where ``taskloom doctor`` finds nothing wrong."""
    with fresh_database(durable_postgres) as dsn:
        upgrade(dsn)
        yield dsn


@pytest.fixture
def empty_database(postgres_dsn: str) -> Iterator[str]:
    """The connection URL of a database with nothing in it, dropped after the test."""
    with fresh_database(postgres_dsn) as dsn:
        yield dsn


@pytest.fixture
def vhost_url(servers: Servers) -> Iterator[str]:
    """The AMQP URL of a fresh virtual host, deleted after the test."""
    with servers.vhost() as url:
        yield url
