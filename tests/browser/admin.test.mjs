// The admin's live page, in a real browser.

import assert from 'node:assert/strict';
import path from 'node:path';
import test from 'node:test';
import { openPage } from './browsers.mjs';
import { listen, startAdmin, startOrigin, until } from './harness.mjs';

test('the live page shows feeds, what is wrong with them, and what to set', async (t) => {
  const origin = await startOrigin(t, { interval: 100 });
  const { proxy, admin } = await startAdmin(t, origin);
  const reader = await openPage(t, `${proxy}/`);
  await listen(reader, ['/feed/a?token=secret', '/feed/b'], ['message']);

  const page = await openPage(t, admin);
  const errors = [];
  page.on('console', (message) => message.type() === 'error' && errors.push(message.text()));
  const rows = page.locator('#rows tr');
  await until('both feeds are shown', async () => await rows.count() === 2);
  await until('they are live', async () => await page.locator('#state').textContent() === 'live');
  const text = await until('a hint', async () => {
    const all = await rows.allTextContents();
    return all.every((row) => row.includes('repair = "legacy" would mend field-case')) && all.join('\n');
  });
  assert.match(text, /\/feed\/a\?token/);
  assert.doesNotMatch(text, /secret/);
  assert.equal(await page.locator('#readers').textContent(), '2');

  await page.locator('#filter').fill('feed/b');
  await until('one is left', async () => await rows.count() === 1);
  assert.deepEqual(page.streams, [`${admin}/api/live`]);
  assert.deepEqual(errors, []);
  if (process.env.SCREENSHOTS) {
    await page.locator('#filter').fill('');
    await page.screenshot({ path: path.join(process.env.SCREENSHOTS, 'admin.png') });
    await page.emulateMedia({ colorScheme: 'dark' });
    await page.setViewportSize({ width: 390, height: 800 });
    await page.screenshot({ path: path.join(process.env.SCREENSHOTS, 'admin-dark-390.png') });
  }
});
