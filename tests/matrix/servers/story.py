"""What all the servers in this language share; see story.mjs for what is asked and said."""

import json
import os
from urllib.parse import parse_qs

PORT = int(os.environ.get("PORT", "0"))
with open(os.environ["STORY"], encoding="utf-8") as file:
    STORY = json.load(file)

# A server that writes from a thread of its own sees that its client is gone only when it writes.
BEAT = 0.2


def say(**line):
    os.write(1, (json.dumps(line) + "\n").encode())  # whole, whatever other threads say


class Told:
    """What one request has not had yet."""

    def __init__(self, query, last):
        query = parse_qs(query)
        self.run = query["run"][0]
        self.pause = int(query.get("pause", ["5"])[0]) / 1000
        known = [i for i, event in enumerate(STORY) if event["id"] == last]
        self.events = STORY[known[0] + 1 if known else 0 :]
        say(opened=self.run, last=last)

    def left(self):
        say(left=self.run)


def block(event):
    lines = [f"id: {event['id']}"]
    if "type" in event:
        lines.append(f"event: {event['type']}")
    if "retry" in event:
        lines.append(f"retry: {event['retry']}")
    lines += [f"data: {line}" for line in event["data"].split("\n")]
    return "\n".join(lines) + "\n\n"
