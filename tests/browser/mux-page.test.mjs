// The page at `/.sse/`, which shows a developer the feeds of the browser's multiplexed streams.

import assert from 'node:assert/strict';
import test from 'node:test';
import { openPage, openTab } from './browsers.mjs';
import { names, startFeeds } from './feeds.mjs';
import { until } from './harness.mjs';
import { allOpen, read } from './tabs.mjs';

test('the page shows feeds, their states, how much comes, and the last events', async (t) => {
  const FEEDS = names(3);
  const { url, publish, origin } = await startFeeds(t, { more: '\n[mux]\npage = true\n' });
  const reader = await openPage(t, url);
  await reader.evaluate(() => { document.cookie = 'session=mine'; });
  await read(reader, FEEDS);
  await allOpen(reader);
  const page = await openTab(reader, `${url}.sse/`);
  const rows = () => page.evaluate(() => [...document.querySelectorAll('tbody tr')].map((row) => {
    const text = (selector) => row.querySelector(selector).textContent;
    return { name: text('.name'), state: text('.state'), events: text('.events'), rate: Number(text('.rate')), last: text('.last code') };
  }));
  await until('all feeds are shown open', async () => {
    const shown = await rows();
    return shown.length === FEEDS.length && shown.every(({ state }) => state === 'open');
  });
  publish(FEEDS, 4);
  await until('their events are shown, and how fast they come', async () => (await rows()).every(({ rate, last }) => last === '4' && rate > 0));
  const shown = await rows();
  assert.deepEqual(shown.map(({ name }) => name).sort(), FEEDS);
  for (const { events } of shown) assert.equal(events, '4');

  origin.end(FEEDS[0]);
  await until('a feed that has to be opened anew is shown so', async () => (await rows()).some(({ state }) => /connecting/.test(state)));

  const stranger = await openPage(t, `${url}.sse/`);
  await until('the page of another browser is there', () => stranger.evaluate(() => document.querySelector('#link').value === 'live'));
  assert.equal(await stranger.evaluate(() => document.querySelectorAll('tbody tr').length), 0, 'and shows nothing of these');
});
