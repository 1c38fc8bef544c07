// The browser's side of multiplexing: many feeds in many tabs on one connection, whatever happens to it.

import assert from 'node:assert/strict';
import test from 'node:test';
import { startEventServer } from './event-server.mjs';
import { openPage, startConfigured, until } from './harness.mjs';
import { startRelay } from './relay.mjs';
import { allOpen, assertHeard, devtools, openTab, read } from './tabs.mjs';

const names = (count, from = 1) => Array.from({ length: count }, (_, i) => `/feed/${from + i}`);

/** An origin with numbered feeds, shared by the proxy, and a relay before that. */
async function start(t, { tls = true, mux = '' } = {}) {
  const origin = await startEventServer(t);
  const proxy = await startConfigured(t, `
[[listener]]
address = "ADDRESS"
${tls ? 'tls = "self-signed"' : ''}

[mux]
${mux}

[[route]]
path = "/feed/*"
upstream = "${origin.url}"
stream = "shared"

[[route]]
path = "/*"
upstream = "${origin.url}"
`);
  const relay = await startRelay(t, proxy.url);
  let last = 0;
  return {
    origin, proxy, relay,
    url: `${relay.url}/`,
    last: () => last,
    /** One more event of each feed. */
    publish(feeds, rounds = 3) {
      for (let round = 0; round < rounds; round += 1) {
        for (const feed of feeds) last = origin.publish(feed);
      }
    },
  };
}

test('200 feeds in 5 tabs on one connection: nothing lost, nothing doubled, in order', async (t) => {
  const FEEDS = names(200);
  const { origin, proxy, relay, url, publish, last } = await start(t);
  const first = await openPage(t, url);
  const tabs = [first];
  while (tabs.length < 5) tabs.push(await openTab(first, url));
  for (const tab of tabs) await read(tab, FEEDS);
  for (const tab of tabs) await allOpen(tab);
  const all = async (what) => {
    for (const [number, tab] of tabs.entries()) await assertHeard(tab, last(), `${what}, tab ${number}`);
  };

  await t.test('all are heard in all tabs', async () => {
    publish(FEEDS);
    await all('at first');
    assert.equal(relay.open(), 1, 'one connection, pages and all');
    for (const feed of FEEDS) assert.equal(origin.opened(feed), 1, `${feed} was opened once`);
  });

  await t.test('the connection is cut, three times', async () => {
    for (const round of [1, 2, 3]) {
      publish(FEEDS, 1);
      relay.cut();
      publish(FEEDS);
      await all(`cut ${round}`);
    }
    for (const feed of FEEDS) assert.equal(origin.opened(feed), 1, `${feed} was opened once`);
  });

  await t.test('a tab is frozen and thawed', async () => {
    const session = await devtools(tabs[4]);
    await session.send('Page.setWebLifecycleState', { state: 'frozen' });
    publish(FEEDS);
    for (const tab of tabs.slice(0, 4)) await assertHeard(tab, last(), 'while another is frozen');
    await session.send('Page.setWebLifecycleState', { state: 'active' });
    await all('thawed');
  });

  await t.test("the worker's renderer crashes", async () => {
    // The first tab made the worker, which lives in that tab's process.
    const [crashing] = tabs.splice(0, 1);
    const crashed = crashing.waitForEvent('crash');
    publish(FEEDS, 1);
    (await devtools(crashing)).send('Page.crash').catch(() => {});
    await crashed;
    publish(FEEDS);
    await all('after the crash');
    assert.equal(relay.open(), 1, 'still one connection');
  });
});

test('the proxy is restarted: sources come back, in order, with nothing doubled and no loss untold', async (t) => {
  const FEEDS = names(20);
  const { origin, proxy, url, publish, last } = await start(t);
  const page = await openPage(t, url);
  await read(page, FEEDS);
  await allOpen(page);
  publish(FEEDS);
  await assertHeard(page, last(), 'before');
  await proxy.restart();
  await until('all feeds are open at the origin again', () => FEEDS.every((feed) => origin.opened(feed) === 2));
  await allOpen(page);
  publish(FEEDS, 2);
  const heard = () => page.evaluate(() => Object.values(window.heard).map(({ numbers }) => numbers));
  await until('the newest is heard', async () => (await heard()).every((numbers) => numbers.at(-1) === last()));
  for (const numbers of await heard()) assert.deepEqual(numbers.filter((one) => one !== 'gap'), [1, 2, 3, 4, 5]);
});

test('the tab that made the worker is closed, and the other goes on', async (t) => {
  const FEEDS = names(20);
  const { url, relay, publish, last } = await start(t);
  const first = await openPage(t, url);
  const tab = await openTab(first, url);
  for (const one of [first, tab]) await read(one, FEEDS);
  for (const one of [first, tab]) await allOpen(one);
  publish(FEEDS);
  await assertHeard(tab, last(), 'before');
  await first.close();
  publish(FEEDS);
  await assertHeard(tab, last(), 'after');
  assert.equal(relay.open(), 1);
  const errors = await tab.evaluate(() => Object.values(window.heard).reduce((sum, { errors }) => sum + errors, 0));
  assert.equal(errors, 0, 'it has seen nothing of it');
});
