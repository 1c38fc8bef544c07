"""HTTP/1.0: no length, no chunks; the response lasts as long as the connection."""

from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

from story import PORT, say
from threaded import pieces


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        url = urlsplit(self.path)
        if url.path != "/events":
            return self.send_error(404)
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.end_headers()
        story = pieces(url.query, self.headers.get("Last-Event-ID"))
        try:
            for piece in story:
                self.wfile.write(piece)
        except OSError:
            story.close()

    def log_message(self, *_):
        pass


server = ThreadingHTTPServer(("127.0.0.1", PORT), Handler)
say(ready=server.server_port)
server.serve_forever()
