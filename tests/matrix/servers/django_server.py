"""Django's StreamingHttpResponse over ASGI."""

import asyncio

from django.conf import settings
from django.core.asgi import get_asgi_application
from django.http import StreamingHttpResponse
from django.urls import path

from asgi import serve
from story import Told, block


async def story(told):
    try:
        for event in told.events:
            await asyncio.sleep(event.get("silence", 0) / 1000)
            yield block(event)
            await asyncio.sleep(told.pause)
        await asyncio.Event().wait()
    finally:
        told.left()


async def events(request):
    told = Told(request.META["QUERY_STRING"], request.headers.get("Last-Event-ID"))
    return StreamingHttpResponse(story(told), content_type="text/event-stream", headers={"Cache-Control": "no-cache"})


urlpatterns = [path("events", events)]
settings.configure(ROOT_URLCONF=__name__, ALLOWED_HOSTS=["*"], SECRET_KEY="of a test")
serve(get_asgi_application())
