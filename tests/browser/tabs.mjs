// Tabs of one browser, whose pages read feeds and keep what they hear.

import assert from 'node:assert/strict';
import { until } from './harness.mjs';

/** Has a page open sources through the client, and keep the numbers that come in `window.heard`, by path. */
export function read(page, paths, { client = '/.sse/mux.js', ...options } = {}) {
  return page.evaluate(async ([paths, client, options]) => {
    if (client) (await import(client)).install({ hints: false, ...options });
    window.heard ??= {};
    window.sources ??= {};
    for (const path of paths) {
      const source = new EventSource(path);
      const heard = { numbers: [], errors: 0, opened: 0, statuses: [] };
      source.onopen = () => { heard.opened += 1; };
      source.onmessage = ({ data }) => heard.numbers.push(Number(data));
      source.onerror = ({ status }) => {
        heard.errors += 1;
        heard.statuses.push(status);
      };
      source.addEventListener('mux/gap', () => heard.numbers.push('gap'));
      window.heard[path] = heard;
      window.sources[path] = source;
    }
  }, [paths, client, options]);
}

/** Waits until all of a page's sources are open. */
export const allOpen = (page, what = 'all are open') => until(what, () => page.evaluate(() => {
  return Object.values(window.sources).every(({ readyState }) => readyState === 1);
}));

const shortest = (page) => page.evaluate(() => Math.min(...Object.values(window.heard).map(({ numbers }) => numbers.length)));

/** Waits until each source of a page has heard the numbers 1 to `last`, and sees that it has heard each once and in order. */
export async function assertHeard(page, last, what, first = 1) {
  const count = last - first + 1;
  await until(`${count} events of each, ${what}`, async () => await shortest(page) >= count);
  const heard = await page.evaluate(() => Object.entries(window.heard).map(([path, { numbers }]) => [path, numbers]));
  const expected = Array.from({ length: count }, (_, i) => first + i);
  for (const [path, numbers] of heard) assert.deepEqual(numbers, expected, `${what}: ${path}`);
}

/** A session with the browser's own tools, for a page. */
export const devtools = (page) => page.context().newCDPSession(page);
