"""A training child without torch; ``device`` of its job says how it behaves."""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from pathlib import Path

from segdesk.workers.job_file import events_file, read_job, stop_file


def main() -> None:
    job = read_job(Path(sys.argv[-1]))
    with events_file(job.folder).open("a") as events:

        def emit(text: str) -> None:
            events.write(text)
            events.flush()

        emit(json.dumps({"event": "progress", "step": 1}) + "\n")
        if job.device == "die":
            emit('{"event": "validation", "di')
            os.kill(os.getpid(), signal.SIGKILL)
        if job.device == "stop":
            os.kill(os.getpid(), signal.SIGSTOP)
        while job.device == "wait" and not stop_file(job.folder).exists():
            time.sleep(0.02)
        while job.device == "deaf":
            time.sleep(0.02)
        if job.device == "wait":
            emit(json.dumps({"event": "stopped"}) + "\n")
        else:
            emit("no json\n" + json.dumps({"event": "result", "verdict": "cannot_judge"}) + "\n")
    sys.stderr.write("that was all\n")


if __name__ == "__main__":
    main()
