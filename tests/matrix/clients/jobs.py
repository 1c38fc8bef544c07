"""What all the clients in this language share; see jobs.mjs for what is asked and said."""

import json
import sys
import time


def say(**line):
    sys.stdout.write(json.dumps(line) + "\n")
    sys.stdout.flush()


class Job:
    def __init__(self, line):
        job = json.loads(line)
        self.run, self.url, self.take = job["run"], job["url"], job["take"]
        self.started, self.heard, self.last = time.monotonic(), 0, None

    def hear(self, type, id, data):
        """Tells of an event, and whether it was the last one."""
        self.heard += 1
        self.last = id or self.last
        say(run=self.run, type=type, id=id, data=data, at=(time.monotonic() - self.started) * 1000)
        return self.done

    @property
    def done(self):
        return self.heard >= self.take

    @property
    def headers(self):
        return {} if self.last is None else {"Last-Event-ID": self.last}

    def keep_on(self, attempt, passing):
        """Asks again, as the library's users are told to, after each `passing` trouble or end."""
        while not self.done:
            try:
                attempt(self)
                trouble = "end"
            except passing as error:
                trouble = repr(error)
            if not self.done:
                say(run=self.run, error=trouble)
                time.sleep(0.1)


def serve(read):
    for line in sys.stdin:
        job = Job(line)
        try:
            read(job)
        except Exception as error:
            say(run=job.run, failed=repr(error))
        say(run=job.run, closed=True)
