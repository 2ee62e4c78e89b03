"""A healthy client in a process of its own: asks for one vehicle again and again, prints the milliseconds of each."""

import json
import sys
import time
from http.client import HTTPConnection

PAUSE = 0.01


def main() -> int:
    """Asks for so many seconds; 1 if an answer is not 200."""
    port, token, seconds = int(sys.argv[1]), sys.argv[2], float(sys.argv[3])
    line, took, end = HTTPConnection("127.0.0.1", port, timeout=30), [], time.perf_counter() + seconds
    while time.perf_counter() < end:
        began = time.perf_counter()
        line.request("GET", "/api/vehicles/P0042", headers={"Authorization": f"Bearer {token}"})
        answer = line.getresponse()
        answer.read()
        if answer.status != 200:
            return 1
        took.append((time.perf_counter() - began) * 1e3)
        time.sleep(PAUSE)
    json.dump(took, sys.stdout)
    return 0


if __name__ == "__main__":
    sys.exit(main())
