// The servers of the matrix, each a real one.

import fs from 'node:fs';
import path from 'node:path';
import { Program } from './program.mjs';
import { startRelay } from './relay.mjs';

const matrix = path.resolve(import.meta.dirname, '..');
const built = path.resolve(process.env.MATRIX_BUILT ?? path.join(matrix, '../../target/matrix'));
export const python = path.join(built, 'venv/bin/python');
const folder = path.join(matrix, 'servers');

const node = (file) => [process.execPath, path.join(folder, file)];
const py = (file) => [python, path.join(folder, file)];

const usual = JSON.parse(fs.readFileSync(path.join(matrix, 'story.json'), 'utf8'));
const large = [usual[0], ...['2', '3', '4'].map((id) => ({ id, data: `${id} `.repeat(1 << 19) }))];

const silent = [usual[0], { id: '2', data: 'after a long silence', silence: 3000 }];

/** What a client of a chat sees of an event. */
const content = ({ data }) => ({ type: 'message', id: null, data });

/**
 * `run`: the program. `speaks`: who can read it (lib/clients.mjs). `path`: where. `story`: what it tells. `seen`: what
 * its clients see of an event. `repair`: what the proxy is asked to mend; `right`: what to ask for to get the same from
 * the server itself. `ends`: it ends the response when all is told. `late`: no part of it comes before the end.
 * `keepAlive`: after what silence the proxy sends a comment; `waits`: that is what is tried. `modes`: the ways to it. `resumes`: its clients come back to a broken stream.
 */
export const SERVERS = {
  'express, wrong case': { run: node('express.mjs'), repair: 'legacy', right: { right: 1 } },
  'better-sse': { run: node('better-sse.mjs'), seen: (event) => ({ ...event, data: JSON.stringify(event.data) }) },
  'fastapi + sse-starlette': { run: py('fastapi_server.py') },
  flask: { run: py('flask_server.py') },
  'django (asgi)': { run: py('django_server.py') },
  'go net/http': { run: [path.join(built, 'go-server')] },
  'compression, flushed': { run: node('compression.mjs'), env: { FLUSH: '1' } },
  'compression, unflushed': { run: node('compression.mjs'), env: { FLUSH: '0' }, ends: true, late: true },
  'http/1.0 (python)': { run: py('http10.py') },
  '1 MiB events': { run: node('plain.mjs'), story: large },
  'nothing for long': { run: node('plain.mjs'), story: silent, keepAlive: '300ms', waits: true },
  'openai-like mock': {
    run: node('openai.mjs'), speaks: 'chat', path: '/v1/*', seen: content, modes: ['direct', 'private'], ends: true,
    resumes: false,
  },
  'mcp sdk': { run: node('mcp.mjs'), speaks: 'mcp', path: '/mcp', modes: ['direct', 'private'] },
};

/** What all have that say nothing else. */
const USUAL = {
  speaks: 'events', path: '/events', story: usual, seen: (event) => event, right: {}, modes: ['direct', 'private', 'shared'],
  keepAlive: '15s', resumes: true,
};

/** What is read through holding routes (hold.test.mjs). */
export const FAULTY = { run: node('faulty.mjs') };

/** Starts one, with a relay before it. `kill` and `start` make a restart, on the same port. */
export async function startServer(name, own, scratch) {
  const spec = { ...USUAL, ...own };
  const slug = name.replace(/\W+/g, '-');
  const file = path.join(scratch, `${slug}.json`);
  fs.writeFileSync(file, JSON.stringify(spec.story));
  const [command, ...args] = spec.run;
  const server = {
    ...spec,
    name,
    slug,
    port: 0,
    start: async () => {
      server.program = new Program(command, args, { PORT: String(server.port), STORY: file, ...spec.env });
      server.port = await server.program.until('ready', ({ ready }) => ready);
    },
    kill: () => server.program.stop('SIGKILL'),
    stop: async () => {
      server.relay.close();
      await server.program.stop();
    },
  };
  await server.start();
  server.relay = await startRelay(server.port);
  return server;
}
