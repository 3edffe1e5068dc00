"""Whether the process of this container is ready: `python healthy.py PORT`; exit code 0, or 1 with the reasons.

Run by the engine every few seconds in every container, therefore the standard library only.
"""

from __future__ import annotations

import http.client
import sys

SECONDS = 8


def main(port: int) -> int:
    """Ask /health/ready on the loopback; what it says goes to standard output, where the engine keeps it."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=SECONDS)
    try:
        connection.request("GET", "/health/ready")
        answer = connection.getresponse()
        said = answer.read(1000).decode("utf-8", "replace")
    except (OSError, http.client.HTTPException) as error:
        said, status = f"nobody answers on port {port}: {error!r}", 1
    else:
        status = 0 if answer.status == http.client.OK else 1
    finally:
        connection.close()
    sys.stdout.write(f"{said}\n")
    return status


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1])))
