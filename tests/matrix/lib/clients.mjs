// The clients of the matrix, each a real one.

import path from 'node:path';
import { Program } from './program.mjs';
import { binary } from './proxy.mjs';
import { python } from './servers.mjs';

const folder = path.resolve(import.meta.dirname, '../clients');
const node = (file) => [process.execPath, path.join(folder, file)];
const py = (file) => [python, path.join(folder, file)];

/** By what each speaks: any events, a chat, MCP. */
export const CLIENTS = {
  events: {
    chromium: node('chromium.mjs'),
    'eventsource 5': node('eventsource.mjs'),
    'eventsource 2': node('eventsource-2.mjs'),
    'httpx-sse': py('httpx_sse_client.py'),
    'sseclient-py': py('sseclient_client.py'),
    curl: node('curl.mjs'),
    'eventsource-client (Rust)': [path.join(path.dirname(binary), 'matrix-client')],
  },
  chat: {
    'openai (node)': node('openai.mjs'),
    'openai (python)': py('openai_client.py'),
  },
  mcp: {
    'mcp sdk': node('mcp.mjs'),
  },
};

export function startClient(name, speaks, [command, ...args], env = {}) {
  const program = new Program(command, args, env);
  return {
    name,
    speaks,
    /** Has it do a job (clients/jobs.mjs). `onEvent` hears of each event at once. */
    async read(job, onEvent = () => {}) {
      const seen = { events: [], errors: [] };
      const closed = program.until(`closed ${job.run}`, ({ run, type, id, data, at, error, failed, closed, when }) => {
        if (run !== job.run) return undefined;
        if (closed) return when;
        if (error !== undefined) seen.errors.push(error);
        else if (failed !== undefined) seen.failed = failed;
        else {
          seen.events.push({ type, id, data });
          seen.first ??= at;
          onEvent(seen.events.length);
        }
        return undefined;
      });
      program.child.stdin.write(`${JSON.stringify(job)}\n`);
      const when = await closed;
      return { ...seen, closed: when };
    },
    stop: () => program.stop(),
  };
}
