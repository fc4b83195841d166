"""A predictor that runs in a warm child process: the window never loads torch, and never waits for it."""

from __future__ import annotations

import threading
import time
import weakref
from collections.abc import Callable, Mapping, Sequence
from itertools import count
from pathlib import Path
from typing import TypeVar

from segdesk.core.explanation import ExplainOptions, Explanation
from segdesk.core.inside import Inside, InsideOptions, WindowCost
from segdesk.core.prediction import Prediction, PredictOptions
from segdesk.core.progress import Progress
from segdesk.core.volume import Volume
from segdesk.errors import UsageError, WorkerError
from segdesk.paths import user_log_folder
from segdesk.workers.child_process import ChildProcess
from segdesk.workers.inference_requests import CostRequest, ExplainRequest, InsideRequest, PredictRequest, Request
from segdesk.workers.messages import Message, error_from_json
from segdesk.workers.module_command import module_command
from segdesk.workers.shared_array import OwnedBlocks
from segdesk.zoo.model_folder import ModelFolder

T = TypeVar("T")

SERVE_COMMAND = module_command("segdesk.nn.serve")

HUNG_S = 4.0
"""A child silent for so long hangs: it sends a beat twice a second."""

START_LIMIT_S = 120.0
"""Loading torch from a cold disk or a share takes long, and sends no beats meanwhile."""

CANCEL_LIMIT_S = 0.9
"""How long a cancelled window may go on before the child is ended."""

_POLL_S = 0.1
"""How often the caller's `report` is asked whether the user cancelled."""


class InferenceWorker:
    """Runs model folders in a child process; a `segdesk.core.prediction.Predictor` and a `segdesk.core.inside.Insight`.

    The child starts with the first prediction (or `warm_up`) and keeps its models. One
    prediction runs at a time; others wait. When the child dies or hangs, the call
    fails with a `WorkerError` and the next one starts a new child.

    Parameters
    ----------
    log_folder : Path, optional
        Where the child's stderr goes; the user's log folder by default.
    command : sequence of str
        How the child is started.
    """

    def __init__(self, log_folder: Path | None = None, command: Sequence[str] = SERVE_COMMAND) -> None:
        self._log_folder = log_folder or user_log_folder()
        self._command = tuple(command)
        self._lock = threading.Lock()
        self._ids = count(1)
        self._children: list[ChildProcess] = []
        # Also at exit and when nobody holds the worker any more: no child is left behind.
        self._end_children = weakref.finalize(self, _end_all, self._children)

    @property
    def pid(self) -> int | None:
        """Process id of the child, None when there is none."""
        return self._children[0].pid if self._children and self._children[0].is_alive else None

    def warm_up(self) -> None:
        """Start the child now, so that the first prediction need not wait for torch; returns at once."""
        # Whoever holds the lock has started it, or is about to.
        if self._lock.acquire(blocking=False):
            try:
                self._child()
            finally:
                self._lock.release()

    def close(self) -> None:
        """End the child; the worker can be used again."""
        with self._lock:
            _end_all(self._children)

    def __call__(
        self, channels: Mapping[str, Volume], model: Path, options: PredictOptions, report: Progress
    ) -> Prediction:
        """Return the prediction of a model folder on the grid of the channels.

        Raises
        ------
        WorkerError
            If the child died or hung; the message names its log.
        SegdeskError
            Whatever the prediction itself refuses, as raised in the child.
        """
        return self._ask(
            model, channels, report, lambda folder, blocks: PredictRequest(folder, channels, options, blocks)
        )

    def explain(
        self, channels: Mapping[str, Volume], model: Path, options: ExplainOptions, report: Progress
    ) -> Explanation:
        """Return what spoke for a label; raises as a prediction does."""
        return self._ask(
            model, channels, report, lambda folder, blocks: ExplainRequest(folder, channels, options, blocks)
        )

    def look_inside(
        self, channels: Mapping[str, Volume], model: Path, options: InsideOptions, report: Progress
    ) -> Inside:
        """Return filters and activation maps; raises as a prediction does."""
        return self._ask(
            model, channels, report, lambda folder, blocks: InsideRequest(folder, channels, options, blocks)
        )

    def cost(
        self, channels: Mapping[str, Volume], model: Path, options: PredictOptions, report: Progress, *, calibrate: bool
    ) -> WindowCost:
        """Return the number of windows, and with `calibrate` the time of one; raises as a prediction does."""

        def make(folder: ModelFolder, blocks: OwnedBlocks) -> CostRequest:
            return CostRequest(folder, channels, options, blocks, calibrate=calibrate)

        return self._ask(model, channels, report, make)

    def _ask(
        self,
        model: Path,
        channels: Mapping[str, Volume],
        report: Progress,
        make: Callable[[ModelFolder, OwnedBlocks], Request[T]],
    ) -> T:
        """Send a request and return what its answer holds."""
        if not channels:
            raise UsageError("There is no image to predict; open one first.", code="wrong_channels")
        folder = ModelFolder.load(model)
        with self._lock:
            child = self._ready_child(report)
            with OwnedBlocks() as blocks:
                request = make(folder, blocks)
                answer = self._answer(child, next(self._ids), request.message, report)
                if answer["event"] == "error":
                    raise error_from_json(answer["error"])
                return request.result(answer)

    def _child(self) -> ChildProcess:
        """Return the running child; start one when there is none, or none that answers."""
        if self._children:
            child = self._children[0]
            is_silent = child.is_ready and child.silence_s > HUNG_S
            if child.is_alive and not is_silent:
                return child
            self._drop(child)
        self._children.append(ChildProcess("inference", self._log_folder, self._command))
        return self._children[0]

    def _ready_child(self, report: Progress) -> ChildProcess:
        """Return a child that has loaded torch; the user may cancel while it does."""
        child = self._child()
        while not child.is_ready:
            report(0, 0, "Starting the inference process")
            self._receive(child, START_LIMIT_S)
        return child

    def _answer(self, child: ChildProcess, request_id: int, request: Message, report: Progress) -> Message:
        """Send a request and wait for its end, passing progress on and cancelling when asked to."""
        try:
            child.send({**request, "id": request_id})
            done, total, text = 0, 0, "Loading the model"
            while True:
                report(done, total, text)
                message = self._receive(child, HUNG_S)
                if message is None or message.get("id") != request_id:
                    continue
                if message["event"] != "progress":
                    return message
                done, total, text = message["done"], message["total"], message["text"]
        except BaseException:
            self._cancel(child, request_id)
            raise

    def _receive(self, child: ChildProcess, limit_s: float) -> Message | None:
        """Return a message or None after a moment; a child that ended or hangs is dropped and reported."""
        message = child.receive(_POLL_S)
        if message is None and child.silence_s > limit_s:
            failure = child.failure("does not answer any more")
            self._drop(child)
            raise failure
        return message

    def _cancel(self, child: ChildProcess, request_id: int) -> None:
        """Stop a request: by asking, then by ending the child."""
        if child in self._children and child.is_alive and not _stops(child, request_id):
            self._drop(child)

    def _drop(self, child: ChildProcess) -> None:
        self._children.remove(child)
        child.end(at_once=True)


def _stops(child: ChildProcess, request_id: int) -> bool:
    """Ask the child to stop a request; whether it did in time."""
    try:
        child.send({"op": "cancel", "id": request_id})
        deadline = time.monotonic() + CANCEL_LIMIT_S
        while time.monotonic() < deadline:
            message = child.receive(_POLL_S)
            if message and message.get("id") == request_id and message["event"] != "progress":
                return True
    except WorkerError:
        return False
    return False


def _end_all(children: list[ChildProcess]) -> None:
    while children:
        children.pop().end()
