"""Runs an ASGI application with uvicorn."""

import uvicorn

from story import PORT, say


def serve(app):
    class Server(uvicorn.Server):
        async def startup(self, sockets=None):
            await super().startup(sockets)
            say(ready=self.servers[0].sockets[0].getsockname()[1])

    Server(uvicorn.Config(app, host="127.0.0.1", port=PORT, log_level="warning")).run()
