// The browser's side of multiplexing: many feeds in many tabs on one connection, whatever happens to it.

import assert from 'node:assert/strict';
import test from 'node:test';
import { openPage, openTab } from './browsers.mjs';
import { names, startFeeds } from './feeds.mjs';
import { until } from './harness.mjs';
import { allOpen, assertHeard, devtools, read } from './tabs.mjs';

test('200 feeds in 5 tabs on one connection: nothing lost, nothing doubled, in order', async (t) => {
  const FEEDS = names(200);
  const { origin, proxy, relay, url, publish, last } = await startFeeds(t, { tls: true });
  const first = await openPage(t, url);
  const tabs = [first];
  while (tabs.length < 5) tabs.push(await openTab(first, url));
  for (const tab of tabs) await read(tab, FEEDS);
  for (const tab of tabs) await allOpen(tab);
  const all = async (what) => {
    for (const [number, tab] of tabs.entries()) await assertHeard(tab, last(), `${what}, tab ${number}`);
  };

  await t.test('all are heard in all tabs', async () => {
    publish(FEEDS, 3);
    await all('at first');
    assert.equal(relay.open(), 1, 'one connection, pages and all');
    for (const feed of FEEDS) assert.equal(origin.opened(feed), 1, `${feed} was opened once`);
  });

  await t.test('the connection is cut, three times', async () => {
    for (const round of [1, 2, 3]) {
      publish(FEEDS);
      relay.cut();
      publish(FEEDS, 3);
      await all(`cut ${round}`);
    }
    for (const feed of FEEDS) assert.equal(origin.opened(feed), 1, `${feed} was opened once`);
  });

  await t.test('a tab is frozen and thawed', async () => {
    const session = await devtools(tabs[4]);
    await session.send('Page.setWebLifecycleState', { state: 'frozen' });
    publish(FEEDS, 3);
    for (const tab of tabs.slice(0, 4)) await assertHeard(tab, last(), 'while another is frozen');
    await session.send('Page.setWebLifecycleState', { state: 'active' });
    await all('thawed');
  });

  await t.test("the worker's renderer crashes", async () => {
    // The first tab made the worker, which lives in that tab's process.
    const [crashing] = tabs.splice(0, 1);
    const crashed = crashing.waitForEvent('crash');
    publish(FEEDS);
    (await devtools(crashing)).send('Page.crash').catch(() => {});
    await crashed;
    publish(FEEDS, 3);
    await all('after the crash');
    assert.equal(relay.open(), 1, 'still one connection');
  });
});

test('the proxy is restarted under 200 feeds in 5 tabs, and what comes meanwhile is had from the origin', async (t) => {
  const FEEDS = names(200);
  const { proxy, relay, url, publish, last } = await startFeeds(t, { tls: true });
  const tabs = [await openPage(t, url)];
  while (tabs.length < 5) tabs.push(await openTab(tabs[0], url));
  for (const tab of tabs) await read(tab, FEEDS);
  for (const tab of tabs) await allOpen(tab);
  const all = async (what) => {
    for (const [number, tab] of tabs.entries()) await assertHeard(tab, last(), `${what}, tab ${number}`);
  };
  publish(FEEDS);
  await all('before');
  publish(FEEDS);
  await proxy.restart(() => publish(FEEDS, 2));
  publish(FEEDS, 2);
  await all('after');
  assert.equal(relay.open(), 1, 'on one connection again');
});

test('the tab that made the worker is closed, and the other goes on', async (t) => {
  const FEEDS = names(20);
  const { url, relay, publish, last } = await startFeeds(t, { tls: true });
  const first = await openPage(t, url);
  const tab = await openTab(first, url);
  for (const one of [first, tab]) await read(one, FEEDS);
  for (const one of [first, tab]) await allOpen(one);
  publish(FEEDS, 3);
  await assertHeard(tab, last(), 'before');
  await first.close();
  publish(FEEDS, 3);
  await assertHeard(tab, last(), 'after');
  assert.equal(relay.open(), 1);
  const errors = await tab.evaluate(() => Object.values(window.heard).reduce((sum, { errors }) => sum + errors, 0));
  assert.equal(errors, 0, 'it has seen nothing of it');
});
