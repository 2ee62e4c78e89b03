"""Tries mutants in one run of pytest: the tests are collected once, and each mutant meets them in a forked process."""

import importlib
import json
import os
import re
import resource
import signal
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any

import pytest
from _pytest.runner import runtestprotocol
from mutating.mutants import Mutant, mutants
from mutating.planting import plant

MEMORY = 3 << 30
"""Bytes that the process of a mutant may take: some mistakes make an endless list."""


ENDED = "the process died or did not end"


@dataclass(frozen=True)
class Trial:
    """What became of one mutant: `test` noticed it; None if no test did."""

    mutant: Mutant
    test: str | None


class Trials:
    """A plugin of pytest that runs the tests against each mutant of a module in place of running them once."""

    def __init__(self, name: str, functions: tuple[str, ...], without: str) -> None:
        """`functions`: only these are mutated, all if there are none; `without` finds the tests that are left out."""
        self.module = importlib.import_module(name)
        self.text = Path(str(self.module.__file__)).read_text(encoding="utf-8")
        self.mutants = [one for one in mutants(self.text) if not functions or one.where in functions]
        self.trials: list[Trial] = []
        self.failed: list[str] = []
        """Tests that fail without any mutant."""

        self._without = re.compile(without) if without else None
        self._runs: list[tuple[float, frozenset[int]]] = []

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        """Leaves tests out."""
        if self._without is not None:
            items[:] = [item for item in items if not self._without.search(item.name)]

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        """Measures every test once, then tries the mutants."""
        told = _in_child(lambda: [self._measured(item) for item in session.items], 300)
        runs = json.loads(told) if told else []
        self.failed = [item.nodeid for item, run in zip(session.items, runs, strict=False) if not run[2]]
        if not runs or self.failed:
            return True
        self._runs = [(seconds, frozenset(lines)) for seconds, lines, _ in runs]
        for mutant in self.mutants:
            self.trials.append(Trial(mutant, self._tried(mutant, session.items)))
        return True

    def _measured(self, item: pytest.Item) -> tuple[float, list[int], bool]:
        """How long a test takes, which lines of the module it runs, and whether it passes."""
        lines: set[int] = set()

        def trace(frame: FrameType, event: str, _: Any) -> Any:
            if frame.f_code.co_filename != self.module.__file__:
                return None
            if event == "line":
                lines.add(frame.f_lineno)
            return trace

        started = time.perf_counter()
        sys.settrace(trace)
        try:
            passed = _passes(item)
        finally:
            sys.settrace(None)
        return time.perf_counter() - started, sorted(lines), passed

    def _tried(self, mutant: Mutant, items: list[pytest.Item]) -> str | None:
        """The first test that notices the mutant, the quick ones first."""
        met = [
            (seconds, item)
            for item, (seconds, lines) in zip(items, self._runs, strict=True)
            if not mutant.in_function or not lines.isdisjoint(mutant.lines)
        ]
        met.sort(key=lambda pair: pair[0])

        def work() -> str | None:
            plant(self.module, self.text, mutant)
            return next((item.nodeid for _, item in met if not _passes(item)), None)

        told = _in_child(work, 5 + 10 * sum(seconds for seconds, _ in met)) if met else b"null"
        found: str | None = json.loads(told) if told else ENDED
        return found


def _passes(item: pytest.Item) -> bool:
    return not any(report.failed for report in runtestprotocol(item, log=False, nextitem=None))


def _in_child(work: Callable[[], Any], seconds: float) -> bytes:
    """What the work gives in a forked process, as JSON; nothing if that process dies or takes too long."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        code = 1
        try:
            resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
            signal.setitimer(signal.ITIMER_REAL, seconds)  # its default action ends the process
            signal.signal(signal.SIGALRM, signal.SIG_DFL)
            told = json.dumps(work()).encode()
            while told:
                told = told[os.write(writer, told) :]
            code = 0
        finally:
            os._exit(code)
    os.close(writer)
    with os.fdopen(reader, "rb") as pipe:
        told = pipe.read()
    _, status = os.waitpid(child, 0)
    return told if status == 0 else b""
