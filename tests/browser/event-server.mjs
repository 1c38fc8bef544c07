// An event server in the test's own process, that does as the test says.

import http from 'node:http';
import { once } from 'node:events';

const PAGE = '<!doctype html><meta charset="utf-8"><title>page</title>';

/** One event's frame. */
export function frame({ id, type, data }) {
  const lines = String(data).split('\n').map((line) => `data: ${line}\n`);
  return `${id === undefined ? '' : `id: ${id}\n`}${type === undefined ? '' : `event: ${type}\n`}${lines.join('')}\n`;
}

/** Opens an event stream as a response. */
export function openStream(res, headers = {}) {
  res.writeHead(200, { 'Content-Type': 'text/event-stream', ...headers });
  res.flushHeaders();
}

/**
 * Serves pages at `/` and `/page/…`, numbered feeds at `/feed/…` (see `publish`), and whatever
 * `handlers` has, by path.
 */
export async function startEventServer(t, handlers = {}) {
  const feeds = new Map(); // path -> { sent: [frames], open: Set of responses, opened }
  const feed = (path) => {
    if (!feeds.has(path)) feeds.set(path, { sent: [], open: new Set(), opened: 0 });
    return feeds.get(path);
  };
  const requests = [];

  const server = http.createServer((req, res) => {
    const { pathname } = new URL(req.url, 'http://origin');
    requests.push(pathname);
    if (handlers[pathname]) return handlers[pathname](req, res);
    if (pathname === '/' || pathname.startsWith('/page/')) return res.writeHead(200, { 'Content-Type': 'text/html' }).end(PAGE);
    if (!pathname.startsWith('/feed/')) return res.writeHead(404).end();
    const { sent, open } = feed(req.url);
    feed(req.url).opened += 1;
    openStream(res);
    const last = req.headers['last-event-id'];
    if (last) for (const text of sent.slice(Number(last))) res.write(text);
    open.add(res);
    res.on('close', () => open.delete(res));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => {
    server.close();
    server.closeAllConnections();
  });

  return {
    url: `http://127.0.0.1:${server.address().port}`,
    requests,
    /** How many requests a feed has had, and how many are open. */
    opened: (path) => feed(path).opened,
    open: (path) => feed(path).open.size,
    /** The next event of a feed; its id, counted from 1, is its data too. Who comes back gets what it has missed. */
    publish(path) {
      const { sent, open } = feed(path);
      const id = sent.length + 1;
      const text = frame({ id, data: id });
      sent.push(text);
      for (const res of open) res.write(text);
      return id;
    },
    /** Ends a feed's open responses. */
    end(path) {
      for (const res of feed(path).open) res.end();
    },
  };
}
