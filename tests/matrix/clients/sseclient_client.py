"""sseclient-py, over requests."""

import requests
import sseclient

from jobs import serve


def attempt(job):
    headers = {"Accept": "text/event-stream", **job.headers}
    with requests.get(job.url, stream=True, headers=headers, timeout=30) as response:
        response.raise_for_status()
        for event in sseclient.SSEClient(response).events():
            if job.hear(event.event, event.id, event.data):
                return


serve(lambda job: job.keep_on(attempt, (requests.ConnectionError, requests.exceptions.ChunkedEncodingError)))
