"""Flask, on its own threaded server."""

from flask import Flask, Response, request
from werkzeug.serving import make_server

from story import PORT, say
from threaded import pieces

app = Flask(__name__)


@app.get("/events")
def events():
    story = pieces(request.query_string.decode(), request.headers.get("Last-Event-ID"))
    return Response(story, content_type="text/event-stream", headers={"Cache-Control": "no-cache"})


server = make_server("127.0.0.1", PORT, app, threaded=True)
say(ready=server.port)
server.serve_forever()
