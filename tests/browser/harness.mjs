// Starts what a test needs, and ends it with the test.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import readline from 'node:readline';

const here = import.meta.dirname;
const binary = path.resolve(process.env.SSE_PROXY ?? path.join(here, '../../target/debug/sse-proxy'));

/** How long anything may take. Nothing waits that long unless it fails. */
export const DEADLINE = 30_000;

/** A directory that goes with the test. */
export function scratch(t) {
  const directory = fs.mkdtempSync(path.join(os.tmpdir(), 'sse-browser-'));
  t.after(() => fs.rmSync(directory, { recursive: true }));
  return directory;
}

/** Runs `command` until a line of `stream` makes `done` return something, and returns that. */
async function started(t, command, args, { env, stream, done }) {
  const child = spawn(command, args, { env: { ...process.env, ...env }, stdio: ['ignore', 'pipe', 'pipe'] });
  const exited = once(child, 'exit');
  t.after(async () => {
    child.kill('SIGKILL');
    await exited;
  });
  const said = [];
  child.stderr.on('data', (data) => said.push(data));
  const lines = readline.createInterface({ input: child[stream] });
  const found = new Promise((resolve, reject) => {
    lines.on('line', (line) => {
      const result = done(line);
      if (result !== undefined) resolve(result);
    });
    child.once('error', reject);
    exited.then(([code, signal]) => reject(new Error(`${command} ended (${code ?? signal}):\n${said.join('')}`)), reject);
    setTimeout(() => reject(new Error(`${command} does not start:\n${said.join('')}`)), DEADLINE).unref();
  });
  child[stream === 'stdout' ? 'stderr' : 'stdout'].resume();
  return { child, exited, result: await found };
}

/** The legacy server. `kill` and `start` make a restart, on the same port. */
export async function startOrigin(t, { interval, counters }) {
  const script = path.join(here, 'legacy-server.mjs');
  const start = async (port) => {
    const env = { PORT: String(port), INTERVAL: String(interval), ...(counters && { COUNTERS: counters }) };
    const done = (line) => Number(line);
    return started(t, process.execPath, [script], { env, stream: 'stdout', done });
  };
  let running = await start(0);
  const port = running.result;
  const url = `http://127.0.0.1:${port}`;
  return {
    url,
    status: async () => (await fetch(`${url}/status`)).json(),
    kill: async () => {
      running.child.kill('SIGKILL');
      await running.exited;
    },
    start: async () => {
      running = await start(port);
    },
  };
}

/** Runs the proxy until it is ready, and returns its first address, TLS if it has one, with the process. */
async function runBinary(t, args) {
  const bound = [];
  const done = (line) => {
    const address = /listening on (https?:\/\/\S+)/.exec(line)?.[1];
    if (address) bound.push(address.replace(/\/$/, ''));
    return line.trim() === 'ready' ? bound : undefined;
  };
  const { result, ...running } = await started(t, binary, args, { stream: 'stderr', done });
  const url = result.find((address) => address.startsWith('https:')) ?? result[0];
  if (!url) throw new Error('ready, but on no address');
  return { url, ...running };
}

const startBinary = async (t, args) => (await runBinary(t, args)).url;

/** The proxy with a configuration, where `ADDRESS` stands for its own. It starts anew on the same port. */
export async function startConfigured(t, config) {
  const file = path.join(scratch(t), 'sse-proxy.toml');
  const run = (address) => {
    fs.writeFileSync(file, config.replaceAll('ADDRESS', address));
    return runBinary(t, ['run', '--config', file]);
  };
  let running = await run('127.0.0.1:0');
  return {
    url: running.url,
    /** Kills it, does something, and starts it again. */
    restart: async (meanwhile = () => {}) => {
      running.child.kill('SIGKILL');
      await running.exited;
      await meanwhile();
      running = await run(new URL(running.url).host);
    },
  };
}

/** The proxy before `origin`: all feeds shared and mended. */
export function startProxy(t, origin) {
  const file = path.join(scratch(t), 'sse-proxy.toml');
  fs.writeFileSync(file, `
[[listener]]
address = "127.0.0.1:0"
tls = "self-signed"

[[route]]
path = "/feed/*"
upstream = "${origin.url}"
stream = "shared"
repair = "legacy"

[[route]]
path = "/*"
upstream = "${origin.url}"
`);
  return startBinary(t, ['run', '--config', file]);
}

/** The proxy before `origin` as it comes, with an admin address. */
export async function startAdmin(t, origin) {
  const file = path.join(scratch(t), 'sse-proxy.toml');
  fs.writeFileSync(file, `
[[listener]]
address = "127.0.0.1:0"
[[route]]
path = "/*"
upstream = "${origin.url}"
[admin]
address = "127.0.0.1:0"
`);
  let proxy;
  let admin;
  const done = (line) => {
    proxy ??= /^listening on (\S+)/.exec(line)?.[1];
    admin ??= /^admin on (\S+)/.exec(line)?.[1];
    return line.trim() === 'ready' || undefined;
  };
  await started(t, binary, ['run', '--config', file], { stream: 'stderr', done });
  return { proxy, admin };
}

export const startDemo = (t) => startBinary(t, ['demo', '--listen', '127.0.0.1:0']);

/** Asks again until `ask` answers something true, and returns that. */
export async function until(what, ask) {
  const end = performance.now() + DEADLINE;
  while (performance.now() < end) {
    const answer = await ask();
    if (answer) return answer;
    await new Promise((next) => setTimeout(next, 20));
  }
  throw new Error(`not within ${DEADLINE} ms: ${what}`);
}

/**
 * Opens EventSources on the page, and keeps what each hears in `window.heard`:
 * `{ url, state, errors, events: [{ type, id, data }] }`.
 */
export function listen(page, urls, types) {
  return page.evaluate(([urls, types]) => {
    window.heard = urls.map((url) => {
      const source = new EventSource(url);
      const heard = { url, errors: 0, events: [], get state() { return source.readyState; } };
      source.addEventListener('error', () => { heard.errors += 1; });
      for (const type of types) {
        source.addEventListener(type, ({ lastEventId, data }) => heard.events.push({ type, id: lastEventId, data }));
      }
      return heard;
    });
  }, [urls, types]);
}

/** What the page's EventSources have heard by now. */
export const heard = (page) => page.evaluate(() => window.heard.map((heard) => ({ ...heard })));
