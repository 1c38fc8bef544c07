// `sse-proxy demo`, looked at as a visitor does.

import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import test from 'node:test';
import { openPage } from './browsers.mjs';
import { startDemo } from './harness.mjs';

const SIZES = [[1440, 900], [390, 844]];

/** The numbers the page shows, as it tells them in its data-* attributes. */
const figures = (page) => page.evaluate(() => {
  const numbers = (data) => Object.fromEntries(Object.entries(data).map(([name, value]) => [name, Number(value)]));
  const tiles = (side) => [...document.querySelectorAll(`#${side} [data-feed]`)].map((tile) => ({ ...tile.dataset }));
  const side = (id) => ({ ...numbers(document.getElementById(id).dataset), tiles: tiles(id) });
  return { direct: side('direct'), mux: side('mux'), page: numbers(document.documentElement.dataset) };
});

const trial = (page, number) => page.waitForFunction((number) => {
  const { phase, trials } = document.documentElement.dataset;
  return phase === 'steady' && Number(trials) === number;
}, number);

async function screenshots(page, directory) {
  fs.mkdirSync(directory, { recursive: true });
  await page.mouse.move(0, 0);
  for (const [width, height] of SIZES) {
    await page.setViewportSize({ width, height });
    for (const colorScheme of ['light', 'dark']) {
      await page.emulateMedia({ colorScheme });
      await page.evaluate(() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done))));
      await page.screenshot({ path: path.join(directory, `demo-${width}x${height}-${colorScheme}.png`) });
    }
  }
}

test('the demo shows six and six in silence, twelve heard, and loses nothing', async (t) => {
  const page = await openPage(t, `${await startDemo(t)}/`);
  const broken = [];
  page.on('pageerror', (error) => broken.push(error.message));

  const every = (selector, test) => page.waitForFunction(([selector, test]) => {
    const tiles = [...document.querySelectorAll(selector)];
    const [name, least] = test;
    return tiles.length === 12 && tiles.every((tile) => Number(tile.dataset[name]) >= least);
  }, [selector, test]);
  await every('#mux [data-feed]', ['heard', 3]);
  await page.waitForFunction(() => {
    const { open, unheard } = document.getElementById('direct').dataset;
    return Number(open) === 6 && Number(unheard) >= 20;
  });

  const first = await figures(page);
  assert.equal(first.direct.heard, 0);
  assert.equal(first.direct.used, 6);
  assert.equal(first.direct.tiles.filter(({ state }) => state === 'waiting').length, 6);
  assert.equal(first.mux.open, 12);
  assert.equal(first.mux.used, 1);

  // For a picture, let the strips fill first.
  if (process.env.SCREENSHOTS) {
    await page.waitForFunction(() => Number(document.querySelector('#mux [data-feed="prices"]').dataset.heard) >= 60);
  }
  await page.click('#cut-origin');
  await page.waitForFunction(() => document.documentElement.dataset.phase === 'origin-down');
  await trial(page, 1);
  await page.click('#cut-reader');
  await page.waitForFunction(() => document.documentElement.dataset.phase === 'reader-away');
  await trial(page, 2);
  // The origin's own count, asked for once a second, agrees with what has come.
  await page.waitForFunction(() => document.getElementById('mux').dataset.behind === '0');

  const last = await figures(page);
  assert.equal(last.mux.lost, 0);
  assert.equal(last.mux.doubled, 0);
  assert.ok(last.page.caughtUp > 0, 'what was missed while away came afterwards');
  assert.equal(last.page.errors, 0, 'the reader has seen no error');
  assert.equal(last.direct.heard, 0);
  for (const tile of last.mux.tiles) {
    const before = first.mux.tiles.find(({ feed }) => feed === tile.feed);
    assert.equal(Number(tile.last) - Number(before.last), Number(tile.heard) - Number(before.heard), tile.feed);
    assert.ok(Number(tile.heard) > Number(before.heard), tile.feed);
  }
  assert.equal(page.streams.filter((url) => url.includes('/.sse/mux')).length, 2, 'one stream, and one more after the cut');
  assert.deepEqual(broken, []);

  if (process.env.SCREENSHOTS) await screenshots(page, process.env.SCREENSHOTS);
});
