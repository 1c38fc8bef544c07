// What the parity tests ask for: each path misbehaves in its own way.

import fs from 'node:fs';
import path from 'node:path';
import { frame, openStream } from './event-server.mjs';

const HEADERS = { 'Cache-Control': 'no-cache' };

/** A stream of this text, that stays open. */
const says = (text, headers = HEADERS) => (req, res) => {
  openStream(res, headers);
  res.write(text);
};

/** Other streams for the first request and for those that come back with an id. */
const comesBack = (first, later) => (req, res) => {
  const last = req.headers['last-event-id'];
  return last === undefined ? first(req, res) : later(req, res, Buffer.from(last, 'latin1').toString());
};

const RETRY = 'retry: 150\n';
const greeting = frame({ data: 'hello' }) + frame({ data: 'world' });

const script = (text) => (req, res) => res.writeHead(200, { 'Content-Type': 'text/javascript' }).end(text);
const PAGE = fs.readFileSync(path.join(import.meta.dirname, 'parity-page.js'));
const WORKER = `import { runAll } from './page.js';
addEventListener('message', async ({ data }) => postMessage(await runAll(...data)));`;

/** @param {string} other An origin that pages are not of. */
export const parityHandlers = (other) => ({
  '/parity/page.js': script(PAGE),
  '/parity/worker.js': script(WORKER),
  '/parity/silent': says(''),
  '/parity/greeting': says(greeting),
  '/parity/large': says(frame({ data: 'x'.repeat(2 ** 20) }) + frame({ data: 'small' })),
  '/parity/fields': says([
    'data: one\n\n', ': comment\n\n', 'data\n\n', 'data:\ndata:\n\n', 'data: a\ndata:  b\n\n', 'event: nothing\n\n',
    'event: update\ndata: named\n\n', 'event: update\nevent:\ndata: unnamed again\n\n', 'event: a b\ndata: blank in the type\n\n',
    'event: ping\ndata\n\n', 'Data: not a field\n\n', 'data: colon: in: it\n\n', 'unknown: x\ndata: y\n\n',
    'event: ünï\ndata: ✓\n\n', 'event:update\ndata:tight\n\n', 'event: update#x\ndata: not heard\n\n', 'data: last\n\n',
  ].join('')),
  '/parity/nul': says('data: a\u0000b\n\n'),
  '/parity/ids': says([
    'data: none\n\n', 'id: 1\ndata: one\n\n', 'data: still one\n\n', 'id: ✓ ü\ndata: any\n\n', 'id: a b c\ndata: blanks\n\n',
    'id\ndata: emptied\n\n', 'data: still empty\n\n', 'id: 7\ndata: seven\n\n',
  ].join('')),
  '/parity/lines': says('\ufeffdata: mark\n\ndata: crlf\r\n\r\ndata: cr\r\rdata: mixed\r\ndata: too\n\n'),
  '/parity/reserved': says('event: open\ndata: an event\n\nevent: error\ndata: no error\n\ndata: last\n\n'),
  '/parity/status': (req, res) => res.writeHead(Number(req.url.split('?')[1])).end(),
  '/parity/type': (req, res) => res.writeHead(200, { 'Content-Type': 'application/json' }).end('{}'),
  '/parity/redirect': (req, res) => res.writeHead(Number(req.url.split('?')[1]), { Location: '/parity/greeting' }).end(),
  '/parity/redirect-to-other': (req, res) => res.writeHead(302, { Location: `${other}/parity/cors` }).end(),
  '/parity/ends': comesBack((req, res) => {
    const id = decodeURIComponent(new URL(req.url, other).searchParams.get('id') ?? '5');
    openStream(res, HEADERS);
    res.end(RETRY + frame({ id, data: 'before' }));
  }, (req, res, last) => says(frame({ data: `after ${last}` }))(req, res)),
  '/parity/breaks': comesBack((req, res) => {
    openStream(res, HEADERS);
    res.write(RETRY + frame({ id: 5, data: 'before' }), () => setTimeout(() => res.socket.resetAndDestroy(), 50));
  }, (req, res, last) => says(frame({ data: `after ${last}` }))(req, res)),
  '/parity/unfinished': comesBack((req, res) => {
    openStream(res, HEADERS);
    res.end(`${RETRY + frame({ id: 5, data: 'before' })}id: 6\ndata: half`);
  }, (req, res, last) => says(frame({ data: `after ${last}` }))(req, res)),
  '/parity/ends-for-good': comesBack((req, res) => {
    openStream(res, HEADERS);
    res.end(RETRY + frame({ id: 5, data: 'before' }));
  }, (req, res) => res.writeHead(204).end()),
  '/parity/fails-later': comesBack((req, res) => {
    openStream(res, HEADERS);
    res.end(RETRY + frame({ id: 5, data: 'before' }));
  }, (req, res) => res.writeHead(500).end()),
  '/parity/ticking': (req, res) => {
    openStream(res, HEADERS);
    const ticking = setInterval(() => res.write(frame({ data: 'tick' })), 20);
    res.on('close', () => clearInterval(ticking));
  },
  '/parity/cors': says(greeting, { ...HEADERS, 'Access-Control-Allow-Origin': '*' }),
  '/parity/cors-credentials': (req, res) => says(greeting, {
    ...HEADERS, 'Access-Control-Allow-Origin': req.headers.origin, 'Access-Control-Allow-Credentials': 'true',
  })(req, res),
});
