// An EventSource that never dies: on a route that holds, its reader sees none of the origin's bad days.

import assert from 'node:assert/strict';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import test from 'node:test';
import { CLIENTS, startClient } from './lib/clients.mjs';
import { runProxy } from './lib/proxy.mjs';
import { startRelay } from './lib/relay.mjs';
import { FAULTY, startServer } from './lib/servers.mjs';

const READERS = ['chromium', 'eventsource 5', 'eventsource 2'];
const PAUSE = 25;

const scratch = fs.mkdtempSync(path.join(os.tmpdir(), 'sse-hold-'));
const server = await startServer('faulty', FAULTY, scratch);
const proxy = await runProxy(['private', 'shared'].map((stream) => `
[[route]]
path = "/${stream}/events"
upstream = "http://127.0.0.1:${server.port}/events"
stream = "${stream}"
on_origin_error = "hold"
`).join(''), scratch);
const near = await startRelay(proxy.port);
const readers = READERS.flatMap((name) => ['private', 'shared'].map((mode) => ({
  mode, client: startClient(name, 'events', CLIENTS.events[name]),
})));

test.after(async () => {
  await Promise.all(readers.map(({ client }) => client.stop()));
  near.close();
  await proxy.stop();
  await server.stop();
  fs.rmSync(scratch, { recursive: true });
});

const told = server.story.map(({ type = 'message', id, data }) => ({ type, id, data }));
let runs = 0;

/** All readers read it all, while `meanwhile` goes on. It gets the runs, and a promise of their first events. */
async function nobodyNotices(t, faults, meanwhile = async () => {}, pause = PAUSE) {
  const begun = [];
  const reading = readers.map(async ({ mode, client }) => {
    runs += 1;
    const run = `h${runs}`;
    const url = `http://127.0.0.1:${near.port}/${mode}/events?${new URLSearchParams({ run, faults, pause })}`;
    const job = { run, url, take: told.length, types: ['message', 'update'] };
    let seen;
    begun.push(new Promise((first) => { seen = client.read(job, first); }));
    return { run, ...await seen };
  });
  await meanwhile(Promise.all(begun));
  for (const [i, seen] of (await Promise.all(reading)).entries()) {
    await t.test(`${readers[i].client.name}, ${readers[i].mode}`, () => {
      assert.deepEqual(seen.events, told, 'all events, in order, once');
      assert.deepEqual([seen.errors, seen.failed], [[], undefined], 'no error was seen');
      assert.equal(near.asked(seen.run), 1, 'the reader asked once');
    });
  }
}

test('straight, one 503 is the end of an EventSource', async () => {
  const { client } = readers[0];
  const url = `http://127.0.0.1:${server.port}/events?run=straight&faults=end,503&pause=${PAUSE}`;
  const seen = await client.read({ run: 'straight', url, take: told.length, types: ['message', 'update'] });
  assert.equal(seen.failed, 'failed');
  assert.deepEqual(seen.events, told.slice(0, 2));
});

test('a burst of 502, 503 and 504 in the middle', (t) => nobodyNotices(t, 'end,502,503,504,503'));

test('502 and 503 at the start', (t) => nobodyNotices(t, '502,503'));

test('connections that break off in the middle of an event', (t) => nobodyNotices(t, 'half,reset,503,half'));

test('an origin that is killed and started again', (t) => nobodyNotices(t, '', async (begun) => {
  await begun;
  await server.kill();
  await server.start();
}, 10 * PAUSE));

test('an origin that is down at the start', async (t) => {
  await server.kill();
  const refused = proxy.program.until('a failed attempt', (line) => (/refused/.test(line) ? true : undefined), { kind: 'stderr' });
  await nobodyNotices(t, '', async () => {
    await refused;
    await server.start();
  });
});
