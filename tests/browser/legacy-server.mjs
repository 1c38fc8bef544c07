// An event server as many were written: capitalised field names, no keep-alive, no retry, no history.
//
//   node legacy-server.mjs       prints its port
//
//   PORT      0 for any free one
//   INTERVAL  milliseconds from one event of a feed to the next
//   COUNTERS  a file for the ids, so that a restarted server goes on counting

import fs from 'node:fs';
import express from 'express';

const { PORT = '0', INTERVAL = '5000', COUNTERS } = process.env;

const sent = COUNTERS && fs.existsSync(COUNTERS) ? JSON.parse(fs.readFileSync(COUNTERS, 'utf8')) : {};
const clients = new Map(); // path -> open responses
const opened = {}; // path -> responses ever opened

const app = express();

app.get('/', (req, res) => {
  res.type('html').send('<!doctype html><title>legacy</title>');
});

app.get('/status', (req, res) => {
  const connections = Object.fromEntries([...clients].map(([path, { size }]) => [path, size]));
  res.json({ sent, connections, opened });
});

app.get('/feed/:name', (req, res) => {
  res.writeHead(200, {'Content-Type': 'text/event-stream', 'Cache-Control': 'no-cache', 'Connection': 'keep-alive'});
  const open = clients.get(req.path) ?? new Set();
  clients.set(req.path, open.add(res));
  opened[req.path] = (opened[req.path] ?? 0) + 1;
  res.on('close', () => open.delete(res));
});

function sendEvent(res, type, id, data) {
  let s = `Event: ${type}\n`;
  if (id) s += `ID: ${id}\n`;
  s += `Data: ${JSON.stringify(data)}\n\n`;
  res.write(s);
}

setInterval(() => {
  const busy = [...clients].filter(([, open]) => open.size > 0);
  for (const [path] of busy) sent[path] = (sent[path] ?? 0) + 1;
  // First on disk, then on the wire: an id is never given twice.
  if (COUNTERS && busy.length > 0) fs.writeFileSync(COUNTERS, JSON.stringify(sent));
  for (const [path, open] of busy) {
    for (const res of open) sendEvent(res, 'update', sent[path], { n: sent[path], path });
  }
}, Number(INTERVAL));

const server = app.listen(Number(PORT), '127.0.0.1', () => {
  console.log(server.address().port);
});
