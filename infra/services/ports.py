"""Free ports for servers that live as long as we do."""

import random
import socket

# Below 32768: the kernel gives the ports above to outgoing connections, any time a server is down.
_FIRST, _LAST = 20_000, 32_000


def is_free(port: int, host: str = "127.0.0.1") -> bool:
    """Say whether nobody listens on a port now."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as trial:
        trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            trial.bind((host, port))
        except OSError:
            return False
    return True


def free_port(host: str = "127.0.0.1") -> int:
    """Pick a free port below the range of outgoing connections.

    Raises:
        OSError: No port between 20000 and 32000 is free.
    """
    for port in random.sample(range(_FIRST, _LAST), 200):
        if is_free(port, host):
            return port
    raise OSError(f"no free port on {host} between {_FIRST} and {_LAST}")
