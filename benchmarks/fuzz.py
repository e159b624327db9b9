"""Fuzz the readers and the splitter: mutated files and random Unicode, and properties that must hold.

    python benchmarks/fuzz.py [--inputs 1000000] [--seed 1] [--processes 2] [--only TARGET …]
    python benchmarks/fuzz.py --replay fuzz-failures/FILE.json …

Every input has a number; seed and number make it, wherever it is run. Inputs are read in forked
processes with the memory limit of askai's own child, watched from outside. A hang is an input that
takes over 2 s of processor time, or is not back after 20 s (it is then ended). Each failure is
written to a file that ``--replay`` runs again. Ends with 1 where there was one.
"""

from __future__ import annotations

import argparse
import base64
import json
import logging
import multiprocessing
import random
import signal
import sys
import time
import traceback
import warnings
from collections import Counter
from dataclasses import dataclass
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

from fuzz_inputs import files
from fuzz_targets import BY_NAME, TARGETS, Target, check_file

from askai.errors import ArticleError
from askai.formats.extractor import MEMORY
from askai.formats.worker import _limit

HANG_S = 2.0
LOST_S = 20.0
_KEPT = 5
"""Failures of one kind that are written down; all are counted."""
_DONE, _REFUSED, _FAILED, _HUNG, _SECONDS, _SLOWEST = range(6)


@dataclass(frozen=True)
class Plan:
    """What is run; ``chosen`` are the targets that numbers are dealt to."""

    seed: int
    inputs: int
    processes: int
    chosen: tuple[Target, ...]
    folder: Path


def draw(plan: Plan, number: int) -> tuple[Target, Any]:
    """The target and the input of a number."""
    dice = random.Random(f"{plan.seed}:{number}")
    target = dice.choices(plan.chosen, [t.weight for t in plan.chosen])[0]
    return target, target.draw(dice)


def packed(value: Any) -> dict[str, Any]:
    """An input as JSON: text may hold half characters."""
    if isinstance(value, bytes):
        return {"bytes": base64.b64encode(value).decode()}
    if isinstance(value, str):
        return {"text": base64.b64encode(value.encode("utf-8", "surrogatepass")).decode()}
    return {"list": [packed(one) for one in value]}


def unpacked(value: dict[str, Any]) -> Any:
    if "list" in value:
        return [unpacked(one) for one in value["list"]]
    raw = base64.b64decode(value.get("bytes", value.get("text", "")))
    return raw if "bytes" in value else raw.decode("utf-8", "surrogatepass")


def keep(plan: Plan, number: int, target: Target, value: Any, what: str) -> Path:
    """Write a failure down."""
    plan.folder.mkdir(parents=True, exist_ok=True)
    path = plan.folder / f"{target.name.replace(' ', '-')}-{plan.seed}-{number}.json"
    record = {"target": target.name, "seed": plan.seed, "number": number, "what": what, "input": packed(value)}
    path.write_text(json.dumps(record, ensure_ascii=False, indent=1), "utf-8", "backslashreplace")
    return path


def _signature(error: Exception) -> str:
    """What tells one fault from another: the last line of askai that it came through, and its kind."""
    frames = [f for f in traceback.extract_tb(error.__traceback__) if "askai" in f.filename]
    place = f"{Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else "?"
    message = str(error) if isinstance(error, AssertionError) else ""
    return f"{type(error).__name__} {place} {message}".strip()


def work(plan: Plan, first: int, place: Any, table: Any) -> None:
    """Run the numbers ``first``, ``first + processes``, …; ``place`` holds the one under way and its start."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    logging.disable(logging.CRITICAL)
    warnings.simplefilter("ignore")
    _limit(MEMORY)
    seen: Counter[str] = Counter()
    for number in range(first, plan.inputs, plan.processes):
        target, value = draw(plan, number)
        row = plan.chosen.index(target) * 6
        place[1], place[0] = time.monotonic(), number
        begun = time.process_time()
        what = ""
        try:
            target.check(value)
        except ArticleError:
            table[row + _REFUSED] += 1
        except Exception as error:  # noqa: BLE001 - whatever comes is what is looked for
            what = _signature(error)
            table[row + _FAILED] += 1
        seconds = time.process_time() - begun
        if seconds > HANG_S and not what:
            what = f"hang: {seconds:.1f} s"
            table[row + _HUNG] += 1
        table[row + _DONE] += 1
        table[row + _SECONDS] += seconds
        table[row + _SLOWEST] = max(table[row + _SLOWEST], seconds)
        kind = "hang" if what.startswith("hang") else what
        seen[kind] += bool(what)
        if what and seen[kind] <= _KEPT:
            keep(plan, number, target, value, what)
    place[0] = plan.inputs + plan.processes


class Crew:
    """The processes, each watched; one that is lost is counted, and another goes on after its input."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self._context = multiprocessing.get_context("fork")
        self.tables = [self._context.RawArray("d", 6 * len(plan.chosen)) for _ in range(plan.processes)]
        self.places = [self._context.RawArray("d", 2) for _ in range(plan.processes)]
        self._lost: list[str] = []
        self.running = [self._started(n, n) for n in range(plan.processes)]

    def _started(self, n: int, first: int) -> BaseProcess:
        self.places[n][0], self.places[n][1] = first, time.monotonic()
        process = self._context.Process(target=work, args=(self.plan, first, self.places[n], self.tables[n]))
        process.start()
        return process

    def finished(self, n: int) -> bool:
        """Whether process ``n`` has come to its end; one that hangs or has died is replaced."""
        process, plan = self.running[n], self.plan
        number = int(self.places[n][0])
        if process.is_alive():
            if time.monotonic() - self.places[n][1] < LOST_S:
                return False
            process.kill()
        process.join()
        number = int(self.places[n][0])
        if number >= plan.inputs:
            return True
        hung = process.exitcode == -signal.SIGKILL
        what = f"hang: not back after {LOST_S:.0f} s" if hung else f"crash: exit code {process.exitcode}"
        target, value = draw(plan, number)
        row = plan.chosen.index(target) * 6
        self.tables[n][row + (_HUNG if hung else _FAILED)] += 1
        self.tables[n][row + _DONE] += 1
        self._lost.append(f"{what} ({keep(plan, number, target, value, what)})")
        self.running[n] = self._started(n, number + plan.processes)
        return False

    def totals(self, target: Target) -> list[float]:
        """Done, refused, failed, hung, seconds and the slowest of a target, over all processes."""
        row = self.plan.chosen.index(target) * 6
        found = [list(table[row : row + 6]) for table in self.tables]
        return [*(sum(one[i] for one in found) for i in range(5)), max(one[_SLOWEST] for one in found)]

    def run(self) -> float:
        """Run to the end; returns the seconds that it took."""
        begun = said = time.monotonic()
        pending = set(range(self.plan.processes))
        try:
            while pending:
                pending -= {n for n in pending if self.finished(n)}
                if time.monotonic() - said > 30:
                    said = time.monotonic()
                    done = sum(self.totals(t)[_DONE] for t in self.plan.chosen)
                    print(f"  {done:,.0f} inputs, {done / (said - begun):,.0f} a second", file=sys.stderr, flush=True)
                time.sleep(0.05)
        finally:
            for process in self.running:
                process.kill()
        return time.monotonic() - begun

    @property
    def lost(self) -> list[str]:
        """Processes that ended in the middle of an input."""
        return self._lost


def report(crew: Crew, seconds: float) -> int:
    """Print the figures; returns how many failures and hangs there were."""
    print(f"{'target':14} {'inputs':>9} {'refused':>8} {'failed':>7} {'hangs':>6} {'a second':>9} {'slowest':>9}")
    sums = [0.0] * 4
    for target in crew.plan.chosen:
        done, refused, failed, hung, spent, slowest = crew.totals(target)
        sums = [a + b for a, b in zip(sums, (done, refused, failed, hung), strict=True)]
        speed = done / spent if spent else 0.0
        print(f"{target.name:14} {done:9,.0f} {refused:8,.0f} {failed:7,.0f} {hung:6,.0f} {speed:9,.0f} {slowest * 1000:6,.0f} ms")
    done, refused, failed, hung = sums
    print(f"{'all':14} {done:9,.0f} {refused:8,.0f} {failed:7,.0f} {hung:6,.0f}")
    print(f"seed {crew.plan.seed}, {crew.plan.processes} processes, {seconds:.0f} s, {done / seconds:,.0f} inputs a second")
    for line in crew.lost:
        print(line)
    kinds: Counter[str] = Counter()
    for path in sorted(crew.plan.folder.glob(f"*-{crew.plan.seed}-*.json")):
        record = json.loads(path.read_text("utf-8"))
        kinds[f"{record['target']}: {record['what']}"] += 1
    for kind, times in kinds.most_common():
        print(f"  {kind} ({times} kept in {crew.plan.folder})")
    return int(failed + hung)


def replay(paths: list[Path]) -> int:
    """Run kept failures again; returns how many still fail."""
    still = 0
    for path in paths:
        record = json.loads(path.read_text("utf-8"))
        value, begun = unpacked(record["input"]), time.process_time()
        try:
            BY_NAME[record["target"]].check(value)
            outcome = "ok"
        except ArticleError as refusal:
            outcome = f"refused: {refusal}"
        except Exception as error:  # noqa: BLE001
            still += 1
            outcome = f"FAILS: {_signature(error)}"
            traceback.print_exc()
        seconds = time.process_time() - begun
        still += seconds > HANG_S
        print(f"{path.name}: {outcome} ({seconds:.2f} s)\n  {value!r:.300}")
    return still


def warm_up() -> None:
    """Read every seed once: good files are no refusals, and what is imported is shared by the processes."""
    for kind, seeds in files().items():
        if kind in BY_NAME:
            for data in seeds:
                check_file(kind, data)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--inputs", type=int, default=1_000_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--only", nargs="+", choices=sorted(BY_NAME), help="these targets alone")
    parser.add_argument("--failures", type=Path, default=Path("fuzz-failures"), help="folder for what fails")
    parser.add_argument("--replay", nargs="+", type=Path, help="run these failures again")
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    if options.replay:
        sys.exit(replay(options.replay) > 0)
    chosen = tuple(t for t in TARGETS if not options.only or t.name in options.only)
    for path in options.failures.glob(f"*-{options.seed}-*.json"):
        path.unlink()  # those of an earlier run with this seed
    warm_up()
    crew = Crew(Plan(options.seed, options.inputs, options.processes, chosen, options.failures))
    sys.exit(report(crew, crew.run()) > 0)


if __name__ == "__main__":
    main()
