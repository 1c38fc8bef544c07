// Every client through the proxy over TLS, with the version of HTTP that it chooses there.

import assert from 'node:assert/strict';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import test from 'node:test';
import { makeCertificate } from './lib/certificate.mjs';
import { CLIENTS, startClient } from './lib/clients.mjs';
import { startProxy } from './lib/proxy.mjs';
import { readStory } from './lib/reading.mjs';
import { startRelay } from './lib/relay.mjs';
import { SERVERS, startServer } from './lib/servers.mjs';

/** One server of each kind, and one that needs mending. */
const READ = ['express, wrong case', 'go net/http', 'openai-like mock', 'mcp sdk'];
/** Who speaks HTTP/2 where it is offered. */
const SPEAK_HTTP2 = ['chromium', 'httpx-sse', 'curl', 'eventsource-client (Rust)'];
/** How soon a server must know that its client has left, in milliseconds. */
const SOON = 1000;
/** Milliseconds between events where a connection is to break between two. */
const PAUSE = 50;

const scratch = fs.mkdtempSync(path.join(os.tmpdir(), 'sse-tls-'));
const tls = makeCertificate(scratch);
const servers = await Promise.all(READ.map((name) => startServer(name, SERVERS[name], scratch)));
const proxy = await startProxy(servers, scratch, tls);
test.after(async () => {
  await proxy.stop();
  await Promise.all(servers.map((server) => server.stop()));
  fs.rmSync(scratch, { recursive: true });
});

/** The version of HTTP that the proxy logs for the streams of a server's route that are opened from now on. */
function version(server, mode) {
  const find = (line) => (line.includes('stream opened') && line.includes(`route="/${mode}/${server.slug}`)
    ? /version=(\S+)/.exec(line)?.[1] : undefined);
  return proxy.program.until(`a stream of ${server.name}`, find, { kind: 'stderr' });
}

async function checkPair(t, server, client, near) {
  const pair = { server, client, near };
  for (const mode of server.modes.filter((mode) => mode !== 'direct')) {
    await t.test(`${server.name}, ${mode}`, async () => {
      const spoken = version(server, mode);
      const seen = await readStory({ ...pair, mode });
      assert.equal(await spoken, SPEAK_HTTP2.includes(client.name) ? 'HTTP/2.0' : 'HTTP/1.1');
      // Who has read all that such a server tells has not left it.
      const leaver = server.ends ? await readStory({ ...pair, mode, take: 1, pause: 2 * SOON }) : seen;
      if (mode === 'private') assert.ok(await leaver.left() <= SOON, 'leaving is seen');
    });
    if (!server.resumes) continue;
    await t.test(`${server.name}, ${mode}: a broken connection is resumed`, async () => {
      const before = near.accepted();
      await readStory({ ...pair, mode, pause: PAUSE, cut: () => near.cutAll() });
      assert.ok(near.accepted() > before, 'the client came back');
    });
  }
}

test('over TLS', async (t) => {
  for (const [speaks, programs] of Object.entries(CLIENTS)) {
    for (const [name, command] of Object.entries(programs)) {
      await t.test(name, async (t) => {
        const near = await startRelay(proxy.port, { tls: true });
        const client = startClient(name, speaks, command, tls.trust);
        t.after(async () => {
          await client.stop();
          near.close();
        });
        for (const server of servers.filter((server) => server.speaks === speaks)) {
          await checkPair(t, server, client, near);
        }
      });
    }
  }
});
