"""The story for servers that give each client a thread: written piece by piece, then a beat until the client is gone."""

import time

from story import BEAT, Told, block


def pieces(query, last):
    told = Told(query, last)
    try:
        for event in told.events:
            time.sleep(event.get("silence", 0) / 1000)
            yield block(event).encode()
            time.sleep(told.pause)
        while True:
            time.sleep(BEAT)
            yield b": beat\n\n"
    finally:
        told.left()
