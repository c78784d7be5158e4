# SPDX-License-Identifier: MIT
"""What tasks come from, seen by asking it again and again. Each kind has length(queue),
consumers(queue) and fill(queue, count, task, arguments)."""
import time

POLL_S = 0.02
READY_POLL_S = 0.002


class Source:
    def wait_ready(self, process, queue):
        """Seconds from its start until it consumes."""
        while self.consumers(queue) == 0:
            process.check()
            time.sleep(READY_POLL_S)
        return time.monotonic() - process.started

    def wait_empty(self, process, queue):
        while self.length(queue) > 0:
            process.check()
            time.sleep(POLL_S)

    def wait_gone(self, queue):
        while self.consumers(queue) > 0:
            time.sleep(POLL_S)
