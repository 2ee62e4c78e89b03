"""The numbers by which a write that was cut off is found again: no two processes draw the same."""

import subprocess
import sys

FORKED = """
import os
from retrobus.store.postgres import random_nonce
reading, writing = os.pipe()
child = os.fork()
if child == 0:
    os.write(writing, str(random_nonce()).encode())
    os._exit(0)
os.waitpid(child, 0)
print(os.read(reading, 100).decode(), random_nonce())
"""


def test_a_forked_process_draws_other_nonces_than_the_process_it_was_forked_from() -> None:
    run = subprocess.run([sys.executable, "-c", FORKED], capture_output=True, text=True, check=True)

    of_child, of_parent = run.stdout.split()
    assert int(of_child) != int(of_parent)
