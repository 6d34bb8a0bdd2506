"""State-change events as EventBridge delivers them: at least once, in any order, and now and then not at all."""

import json
import pathlib
import threading
import time
import urllib.request
import uuid

TIMEOUT = 30


class Events:
    def __init__(self, work, url, random, lose, double, spread):
        self._file = pathlib.Path(work) / "events.jsonl"
        self._url, self._random = url, random
        self._lose, self._double, self._spread = lose, double, spread
        self._lock = threading.Lock()

    def emit(self, source, detail_type, detail):
        event = {
            "version": "0", "id": str(uuid.uuid4()), "source": source, "detail-type": detail_type, "account": "123456789012",
            "region": "us-east-1", "time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()), "resources": [], "detail": detail,
        }
        with self._lock:
            copies = 0 if self._random.random() < self._lose else 2 if self._random.random() < self._double else 1
            delays = [self._random.random() * self._spread for _ in range(copies)]
            with self._file.open("a") as file:
                file.write(json.dumps(dict(event, deliveries=copies)) + "\n")
        for delay in delays if self._url else []:
            timer = threading.Timer(delay, self._deliver, [event])
            timer.daemon = True
            timer.start()

    def _deliver(self, event):
        request = urllib.request.Request(self._url, json.dumps(event).encode(), {"Content-Type": "application/json"})
        try:
            urllib.request.urlopen(request, timeout=TIMEOUT).read()
        except OSError:
            # Nobody listens: the event is lost, as it may be.
            pass
