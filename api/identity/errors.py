"""What is refused before anybody looks at what was asked for."""

from domain.errors import Conflict, NotFound, Refused


class Unauthenticated(Refused):
    """Nobody knows who asks: 401."""

    code = "unauthenticated"


class WrongPassword(Unauthenticated):
    """The login or the password is wrong; which of them is nobody's business."""

    code = "wrong-password"

    def __init__(self) -> None:
        super().__init__("the login or the password is wrong")


class SessionOver(Unauthenticated):
    """A refresh token does not count any more."""

    code = "session-over"

    def __init__(self) -> None:
        super().__init__("the refresh token does not count any more; log in again")


class TooManyAttempts(Refused):
    """Too many attempts to get in: 429."""

    code = "too-many-attempts"

    def __init__(self, retry_after: int) -> None:
        super().__init__(f"too many attempts; try again in {retry_after} s")
        self.retry_after = retry_after


class LoginTaken(Conflict):
    """Somebody has this login."""

    code = "login-taken"

    def __init__(self, login: str) -> None:
        super().__init__(f"there is a user {login} already")


class UnknownUser(NotFound):
    """No user has this id."""

    code = "unknown-user"

    def __init__(self, user_id: str) -> None:
        super().__init__(f"there is no user {user_id}")


class UnknownKey(NotFound):
    """No key has this id, or it is somebody else's."""

    code = "unknown-key"

    def __init__(self, key_id: str) -> None:
        super().__init__(f"there is no key {key_id}")


class BadScopes(Refused):
    """A key was to be given what its role may not do."""

    code = "bad-scopes"
