"""FastAPI with sse-starlette."""

import asyncio

from fastapi import FastAPI, Request
from sse_starlette.sse import EventSourceResponse

from asgi import serve
from story import Told

app = FastAPI()


async def story(told):
    try:
        for event in told.events:
            await asyncio.sleep(event.get("silence", 0) / 1000)
            yield {"event" if name == "type" else name: value for name, value in event.items() if name != "silence"}
            await asyncio.sleep(told.pause)
        await asyncio.Event().wait()
    finally:
        told.left()


@app.get("/events")
async def events(request: Request):
    return EventSourceResponse(story(Told(request.url.query, request.headers.get("Last-Event-ID"))))


serve(app)
