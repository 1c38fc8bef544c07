// The browser's side of multiplexing in Firefox: many feeds in several tabs, and a cut.

import assert from 'node:assert/strict';
import test from 'node:test';
import { openFirefox, openTab } from './browsers.mjs';
import { names, startFeeds } from './feeds.mjs';
import { until } from './harness.mjs';
import { allOpen, assertHeard, read } from './tabs.mjs';

test('in Firefox, 100 feeds in 3 tabs share a connection, and nothing is lost when it is cut', async (t) => {
  const FEEDS = names(100);
  const { origin, proxy, relay, url, publish, last } = await startFeeds(t);
  const tabs = [await openFirefox(t, url)];
  while (tabs.length < 3) tabs.push(await openTab(tabs[0], url));
  for (const tab of tabs) await read(tab, FEEDS);
  for (const tab of tabs) await allOpen(tab);
  const all = async (what) => {
    for (const [number, tab] of tabs.entries()) await assertHeard(tab, last(), `${what}, tab ${number}`);
  };

  publish(FEEDS, 3);
  await all('at first');
  for (const round of [1, 2, 3]) {
    publish(FEEDS);
    relay.cut();
    publish(FEEDS);
    await all(`cut ${round}`);
  }
  for (const feed of FEEDS) assert.equal(origin.opened(feed), 1, `${feed} was opened once`);

  publish(FEEDS);
  await proxy.restart(() => publish(FEEDS, 2));
  publish(FEEDS);
  await all('after a restart of the proxy');

  // The first tab made the worker.
  await tabs.shift().close();
  publish(FEEDS);
  await all('without the first tab');
});

test('in Firefox, 20 sources without TLS leave room for other requests', async (t) => {
  const { url } = await startFeeds(t);
  const page = await openFirefox(t, url);
  await read(page, names(20));
  await allOpen(page);
  const status = await page.evaluate(async () => {
    const signal = AbortSignal.timeout(10_000);
    return (await fetch('/page/other', { cache: 'no-store', signal })).status;
  });
  assert.equal(status, 200);
});

test('in Firefox, a service worker that is ended for want of events loses nothing', async (t) => {
  const FEEDS = names(10);
  // It ends a worker that has had no event for so long, whatever it answers.
  const { url, publish, last } = await startFeeds(t);
  const page = await openFirefox(t, url, {
    'dom.serviceWorkers.idle_timeout': 1000,
    'dom.serviceWorkers.idle_extended_timeout': 1000,
  });
  await page.evaluate(async () => {
    await navigator.serviceWorker.register('/.sse/sw.js', { type: 'module', scope: '/' });
    if (navigator.serviceWorker.controller) return;
    await new Promise((done) => navigator.serviceWorker.addEventListener('controllerchange', done, { once: true }));
  });
  await read(page, FEEDS, { client: null });
  await allOpen(page);
  publish(FEEDS);
  await assertHeard(page, 1, 'before');
  const ended = () => page.evaluate(() => Object.values(window.heard).every(({ errors }) => errors > 0));
  await until('the worker is ended', async () => {
    publish(FEEDS);
    return ended();
  });
  publish(FEEDS);
  await assertHeard(page, last(), 'by the next worker');
});
