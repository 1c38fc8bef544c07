"""httpx-sse. It hands on comments and `retry` alone as events without data; the standard drops those, and so does this."""

import httpx
import httpx_sse

from jobs import serve


def attempt(job):
    with httpx.Client(timeout=30, http2=True) as client:
        with httpx_sse.connect_sse(client, "GET", job.url, headers=job.headers) as source:
            source.response.raise_for_status()
            for event in source.iter_sse():
                if event.data and job.hear(event.event, event.id, event.data):
                    return


serve(lambda job: job.keep_on(attempt, httpx.TransportError))
