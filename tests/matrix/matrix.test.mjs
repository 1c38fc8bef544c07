// Every server read by every client: straight, and through the proxy on a private and on a shared route.

import assert from 'node:assert/strict';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import test from 'node:test';
import { CLIENTS, startClient } from './lib/clients.mjs';
import { LINGER, startProxy } from './lib/proxy.mjs';
import { readStory } from './lib/reading.mjs';
import { startRelay } from './lib/relay.mjs';
import { SERVERS, startServer } from './lib/servers.mjs';
import { Table } from './lib/table.mjs';

/** Clients at work at the same time. */
const LANES = 3;
/** How much later than straight the first event may come, in milliseconds. */
const LATER = 50;
/** How soon a server must know that its client has left, in milliseconds. */
const SOON = 1000;
/** Medians of three, asked for again on a busy machine. */
const [ROUND, ROUNDS] = [3, 5];
/** Milliseconds between events where a connection is to break between two. */
const [PAUSE, LONGEST_PAUSE] = [25, 500];

/** The silence after which many a load balancer cuts a connection (its minute, shortened), in milliseconds. */
const IDLE = 1500;

const { SERVER = '', CLIENT = '' } = process.env; // parts of names, to run a part of it
const scratch = fs.mkdtempSync(path.join(os.tmpdir(), 'sse-matrix-'));
const wanted = Object.entries(SERVERS).filter(([name]) => name.includes(SERVER));
const servers = await Promise.all(wanted.map(([name, spec]) => startServer(name, spec, scratch)));
const proxy = await startProxy(servers, scratch);
const near = await startRelay(proxy.port);
const impatient = await startRelay(proxy.port, { idle: IDLE });
const clients = Object.entries(CLIENTS).flatMap(([speaks, programs]) => Object.entries(programs)
  .filter(([name]) => name.includes(CLIENT) && servers.some((server) => server.speaks === speaks))
  .map(([name, command]) => startClient(name, speaks, command)));
const table = new Table(servers.map(({ name }) => name), clients.map(({ name }) => name));

test.after(async () => {
  await Promise.all(clients.map((client) => client.stop()));
  near.close();
  impatient.close();
  await proxy.stop();
  await Promise.all(servers.map((server) => server.stop()));
  fs.rmSync(scratch, { recursive: true });
  table.print();
});

const median = (numbers) => [...numbers].sort((a, b) => a - b)[numbers.length >> 1];
const quickest = (numbers) => Math.min(...numbers);

/** Reads a few times in each mode: when the first event came, and how long after it left the client was missed. */
async function round({ server, ...pair }) {
  const runs = [];
  for (let i = 0; i < ROUND; i += 1) {
    for (const mode of server.modes) {
      const seen = await readStory({ ...pair, server, mode });
      // Who has read all that such a server tells has not left it.
      const leaver = server.ends && !server.late ? await readStory({ ...pair, server, mode, take: 1, pause: 2 * SOON }) : seen;
      const left = leaver.left().then((late) => Math.max(0, late - (mode === 'shared' ? LINGER : 0)));
      runs.push({ mode, first: seen.first, left });
    }
  }
  return Promise.all(runs.map(async (run) => ({ ...run, left: await run.left })));
}

/** How much later than straight the first event came, and after how long leaving was seen, at worst of the modes. */
function worst(runs, typical) {
  const by = (name) => Object.fromEntries(['direct', 'private', 'shared'].flatMap((mode) => {
    const its = runs.filter((run) => run.mode === mode).map((run) => run[name]);
    return its.length ? [[mode, typical(its)]] : [];
  }));
  const { direct, ...first } = by('first');
  return { later: Math.max(...Object.values(first)) - direct, left: Math.max(...Object.values(by('left'))) };
}

/** The same events, the first of them as soon, and the server knows soon that its client has left. */
async function sees(pair, cell) {
  const all = [];
  const fine = ({ later, left }) => later <= LATER && left <= SOON;
  for (let i = 0; i < ROUNDS; i += 1) {
    const runs = await round(pair);
    all.push(...runs);
    Object.assign(cell, worst(runs, median));
    if (fine(cell)) return;
  }
  // The machine is too busy for medians. What is slow by itself is slow each time.
  Object.assign(cell, worst(all, quickest), { busy: true });
  assert.ok(cell.later <= LATER, `the first event comes ${cell.later.toFixed(1)} ms later than straight`);
  assert.ok(cell.left <= SOON, `leaving is seen after ${cell.left.toFixed(0)} ms`);
}

/** Reads while what goes through `relay` is cut once, in the middle. */
async function readCut(pair, mode, relay, more) {
  for (let pause = PAUSE; ; pause *= 2) {
    const seen = await readStory({ ...pair, ...more, mode, pause, cut: (run) => relay.cut(run) });
    // On a busy machine the cut may come when all is over.
    if (relay.asked(seen.run) > 1 || more?.breaks || pause > LONGEST_PAUSE) return seen;
  }
}

/** A connection breaks, before the proxy or behind it, and nothing is lost or doubled. */
async function resumes(pair, cell) {
  const { server } = pair;
  for (const mode of server.modes) {
    const relay = mode === 'direct' ? server.relay : near;
    const { run } = await readCut(pair, mode, relay);
    assert.ok(relay.asked(run) > 1, `${mode}: the client came back`);
  }
  const { run } = await readCut(pair, 'private', server.relay);
  assert.ok(near.asked(run) > 1, 'private, cut behind the proxy: the client came back');
  if (server.modes.includes('shared')) {
    const seen = await readCut(pair, 'shared', server.relay);
    assert.equal(near.asked(seen.run), 1, 'shared, cut behind the proxy: the client never noticed');
    assert.ok(server.relay.asked(seen.run) > 1, 'shared, cut behind the proxy: the proxy asked again');
  }
  cell.resumed = true;
}

/** A client that cannot come back is told that something is missing, as it is straight. */
async function breaks(pair, cell) {
  const { server } = pair;
  for (const [mode, relay] of [['direct', server.relay], ['private', near], ['private', server.relay]]) {
    await readCut(pair, mode, relay, { breaks: true });
  }
  cell.resumed = false;
}

/** A silence that is cut straight is outlived through the proxy: its comments come between. */
async function outlives(pair, cell) {
  for (const mode of ['private', 'shared']) {
    const { run } = await readStory({ ...pair, mode, near: impatient });
    assert.equal(impatient.asked(run), 1, `${mode}: the client came back`);
  }
  cell.outlived = true;
}

async function checkPair(t, server, client) {
  const cell = table.cell(server.name, client.name);
  const pair = { server, client, near };
  const check = (promise, run) => t.test(promise, async () => {
    try {
      await run(pair, cell);
    } catch (error) {
      cell.fault = promise;
      throw error;
    }
  });
  if (server.waits) return check('a long silence is outlived', outlives);
  await check('same events, the first as soon, leaving seen', sees);
  if (server.late) return undefined; // nothing to break before it is over
  if (server.resumes) return check('a broken connection is resumed', resumes);
  return check('a broken connection is told', breaks);
}

/** The same silence without the proxy. */
async function checkStraight(t, server) {
  const relay = await startRelay(server.port, { idle: IDLE });
  const curl = startClient('curl', 'events', CLIENTS.events.curl);
  t.after(async () => {
    await curl.stop();
    relay.close();
  });
  let opened = 0;
  const often = server.program.until('asked for the third time', (line) => {
    opened += line.opened === 'straight' ? 1 : 0;
    return opened === 3 ? true : undefined;
  });
  let heard = 0;
  const url = `http://127.0.0.1:${relay.port}/events?run=straight`;
  curl.read({ run: 'straight', url, take: 2 }, () => { heard += 1; }).catch(() => {}); // it never ends by itself
  await often;
  assert.equal(heard, 1, 'what comes after the silence is never heard');
}

test('matrix', { concurrency: LANES }, async (t) => {
  const lanes = clients.map((client) => t.test(client.name, async (t) => {
    for (const server of servers.filter(({ speaks }) => speaks === client.speaks)) {
      await t.test(server.name, (t) => checkPair(t, server, client));
    }
  }));
  const straight = servers.filter(({ waits }) => waits)
    .map((server) => t.test('straight, a long silence is cut again and again', (t) => checkStraight(t, server)));
  await Promise.all([...lanes, ...straight]);
});
