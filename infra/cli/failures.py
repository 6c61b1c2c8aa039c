"""Every error as one line and an exit code."""

from pydantic import ValidationError

from domain.errors import Conflict, NotFound, Refused, TaskloomError, Unavailable
from infra.cli.exits import Exit


class FinishedFailed(TaskloomError):
    """What was watched has ended, and not well."""

    code = "finished-failed"


def explain(error: BaseException) -> tuple[Exit, str]:
    """Return how the command ends because of an error, and what to say."""
    if isinstance(error, BaseExceptionGroup):
        # Of several that failed together one is the cause, the rest is consequence.
        return explain(error.exceptions[0])  # pyright: ignore[reportUnknownMemberType, reportUnknownArgumentType] # of anything
    notes: list[str] = getattr(error, "__notes__", [])
    return _code_of(error), "; ".join([_words_of(error), *notes])


def _code_of(error: BaseException) -> Exit:
    match error:
        case FinishedFailed():
            return Exit.FINISHED_FAILED
        case TaskloomError(code="interrupted"):
            return Exit.INTERRUPTED
        case NotFound():
            return Exit.NOT_FOUND
        case Conflict():
            return Exit.CONFLICT
        case Refused():
            return Exit.FAILURE
        case TimeoutError():
            return Exit.TIMEOUT
        case Unavailable() | ConnectionError():
            return Exit.UNREACHABLE
        case _ if type(error).__module__.startswith("psycopg"):
            return Exit.UNREACHABLE
        case ValidationError():
            return Exit.USAGE
        case _:
            return Exit.FAILURE


def _words_of(error: BaseException) -> str:
    if isinstance(error, ValidationError):
        problem = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(map(str, problem["loc"]))
        return f"{error.title}: {where}: {problem['msg']}"
    if isinstance(error, TaskloomError):
        return str(error).strip()
    text = str(error).strip().partition("\n")[0] or type(error).__name__
    if isinstance(error, OSError | TimeoutError) or type(error).__module__.startswith("psycopg"):
        return text
    return f"{type(error).__name__}: {text} (TASKLOOM_DEBUG=1 shows where)"
