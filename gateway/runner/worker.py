"""A worker process: ``python -m gateway.runner.worker``, tasks in on stdin, summaries on stdout.

One JSON line each way per task. Standard input is also the lifeline: when the parent is gone,
however it ended, reading it ends, and so does this process, in the middle of whatever it does.
(An executor's workers outlive a killed parent and go on writing: measured for spawn, fork and
forkserver alike.)
"""

import gc
import os
import queue
import resource
import signal
import sys
import threading
import traceback
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Final

import orjson

from gateway.batches.batch import Counts, TokenUsage
from gateway.batches.job import Failure
from gateway.batches.planning import JobLimits
from gateway.batches.quota import Quota, QuotaRules
from gateway.errors import AuditError
from gateway.runner.cpu.collect import CollectTask, RangeCollected, collect, collect_range
from gateway.runner.cpu.collect_ranges import JoinResultsTask, join_results
from gateway.runner.cpu.digests import MergeTask, merge
from gateway.runner.cpu.dry_run import DryRunTask, dry_run
from gateway.runner.cpu.failed_lines import FailedLinesTask, failed_lines
from gateway.runner.cpu.fill import FillTask, Usable, fill
from gateway.runner.cpu.gather import GatherTask, gather
from gateway.runner.cpu.hold import HoldTask, hold
from gateway.runner.cpu.line_story import LineStoryTask, RawPath, line_story
from gateway.runner.cpu.publish import PublishTask, RunPaths, publish
from gateway.runner.cpu.ranges import JoinTask, join
from gateway.runner.cpu.recut import (
    PickTask,
    RecutTask,
    SeekTask,
    SplitTask,
    pick,
    recut,
    seek,
    split,
)
from gateway.runner.cpu.remake import RemakeTask, remake
from gateway.runner.cpu.trail import Trail
from gateway.runner.cpu.validate import (
    InputLimits,
    PlannedJob,
    RangeSummary,
    ValidateTask,
    validate,
    validate_range,
)
from gateway.runner.cpu.verify import VerifyTask, verify
from gateway.translate import Unusable

NICENESS: Final = 19  # the API's p99 comes first: measured, it halves when the workers step back
ORPHANED: Final = 3
REPORT_SECONDS: Final = 1.0
OOM_SCORE: Final = "500"  # of 1000: well before the main process, which is every client's

# Lines make thousands of objects a millisecond and hardly a cycle: looking for cycles as often as
# Python does by default costs a fifth of the time of small lines.
GARBAGE_THRESHOLD: Final = 100_000


def _failure(value: Mapping[str, Any] | None) -> Failure | None:
    return None if value is None else Failure(**value)


def _validate(task: dict[str, Any]) -> object:
    return validate(_validate_task(task))


def _validate_range(task: dict[str, Any]) -> object:
    return validate_range(_validate_task(task))


def _join(task: dict[str, Any]) -> object:
    ranges = []
    for one in task["ranges"]:
        jobs = [PlannedJob(**job) for job in one.pop("jobs")]
        ranges.append(RangeSummary(**one, jobs=jobs))
    return join(JoinTask(_validate_task(task["task"]), ranges))


def _trail(value: Mapping[str, Any] | None) -> Trail | None:
    return None if value is None else Trail(**value)


def _validate_task(task: dict[str, Any]) -> ValidateTask:
    limits = InputLimits(**task.pop("limits"))
    jobs = JobLimits(**task.pop("jobs"))
    unusable = {name: Unusable(**why) for name, why in task.pop("unusable").items()}
    rules = QuotaRules(**task.pop("rules"))
    quotas = [Quota(**quota) for quota in task.pop("quotas")]
    more: dict[str, Any] = {"rules": rules, "quotas": quotas, "unusable": unusable}
    more["trail"] = _trail(task.pop("trail"))
    return ValidateTask(**task, limits=limits, jobs=jobs, **more)


def _fill(task: dict[str, Any]) -> object:
    files = {name: Usable(**file) for name, file in task.pop("files").items()}
    return fill(FillTask(**task, files=files))


def _collect_task(task: dict[str, Any]) -> CollectTask:
    failure, unserved = _failure(task.pop("failure")), _failure(task.pop("unserved"))
    unusable = {name: Failure(**why) for name, why in task.pop("unusable").items()}
    more: dict[str, Any] = {"unserved": unserved, "trail": _trail(task.pop("trail"))}
    return CollectTask(**task, failure=failure, unusable=unusable, **more)


def _join_results(task: dict[str, Any]) -> object:
    ranges = []
    for one in task["ranges"]:
        counts, usage = Counts(**one.pop("counts")), TokenUsage(**one.pop("usage"))
        ranges.append(RangeCollected(**one, counts=counts, usage=usage))
    return join_results(JoinResultsTask(_collect_task(task["task"]), ranges))


def _publish(task: dict[str, Any]) -> object:
    runs = [RunPaths(**paths) for paths in task.pop("runs")]
    lost = _failure(task.pop("lost"))
    return publish(PublishTask(**task, runs=runs, lost=lost))


def _line_story(task: dict[str, Any]) -> object:
    raws = [RawPath(**raw) for raw in task.pop("raws")]
    return line_story(LineStoryTask(**task, raws=raws))


def _hold(task: dict[str, Any]) -> object:
    return hold(HoldTask(**task))


def _recut(task: dict[str, Any]) -> object:
    return recut(RecutTask(**task))


CALLS: Mapping[str, Callable[[dict[str, Any]], object]] = {
    "validate": _validate,
    "validate_range": _validate_range,
    "join": _join,
    "fill": _fill,
    "collect": lambda task: collect(_collect_task(task)),
    "collect_range": lambda task: collect_range(_collect_task(task)),
    "join_results": _join_results,
    "publish": _publish,
    "hold": _hold,
    "recut": _recut,
    "line_story": _line_story,
    "dry_run": lambda task: dry_run(DryRunTask(**task)),
    "verify": lambda task: verify(VerifyTask(**task)),
    "remake": lambda task: remake(RemakeTask(**task)),
    "failed_lines": lambda task: failed_lines(FailedLinesTask(**task)),
    "split": lambda task: split(SplitTask(**task)),
    "pick": lambda task: pick(PickTask(**task)),
    "seek": lambda task: seek(SeekTask(**task)),
    "merge": lambda task: merge(MergeTask(**task)),
    "gather": lambda task: gather(GatherTask(**task)),
}


def answer(line: bytes) -> bytes:
    """Run one task.

    ``{"summary": …}``, ``{"refused": …}`` when the audit fails, ``{"unavailable": …}`` when the
    machine does (a full disk).
    """
    request = orjson.loads(line)
    try:
        summary = CALLS[request["call"]](request["task"])
    except AuditError as error:
        return orjson.dumps({"refused": str(error)}) + b"\n"
    except OSError as error:
        return orjson.dumps({"unavailable": error.strerror or type(error).__name__}) + b"\n"
    return orjson.dumps({"summary": summary}, option=orjson.OPT_SERIALIZE_DATACLASS) + b"\n"


def _read_tasks(tasks: "queue.SimpleQueue[bytes]") -> None:
    for line in sys.stdin.buffer:
        tasks.put(line)
    os._exit(ORPHANED)  # mid-task: no process is left to want the result


def _report(kind: type[BaseException], _: BaseException, trace: TracebackType | None) -> None:
    """Report where it broke, without what it was working on: messages may quote prompts."""
    places = [f"{frame.filename}:{frame.lineno}" for frame in traceback.extract_tb(trace)]
    text = f"worker: {kind.__name__} at {' < '.join(reversed(places))}\n"
    # A pipe that is not read must not keep a dead worker's step waiting.
    writer = threading.Thread(target=os.write, args=(2, text.encode()), daemon=True)
    writer.start()
    writer.join(REPORT_SECONDS)


def _bound_memory(limit: int) -> None:
    """Fail before the container does, and be the one that the kernel ends first.

    Allocations alone are counted (RLIMIT_DATA): libraries and mapped files are not, which the
    address space (RLIMIT_AS) counts at ten times their size in memory.
    """
    if limit:
        resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))
    with suppress(OSError):  # Linux alone has it
        Path("/proc/self/oom_score_adj").write_text(OOM_SCORE, encoding="ascii")


def main() -> None:
    """Work until standard input ends."""
    sys.excepthook = _report
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to handle
    os.nice(NICENESS)
    _bound_memory(int(sys.argv[1]) if len(sys.argv) > 1 else 0)
    gc.set_threshold(GARBAGE_THRESHOLD)
    tasks: queue.SimpleQueue[bytes] = queue.SimpleQueue()
    threading.Thread(target=_read_tasks, args=(tasks,), daemon=True, name="lifeline").start()
    while True:
        sys.stdout.buffer.write(answer(tasks.get()))
        sys.stdout.buffer.flush()


if __name__ == "__main__":
    main()
