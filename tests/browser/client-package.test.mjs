// The client as a package: its types, its size, what is in it, and how the proxy serves it.

import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import test from 'node:test';
import { promisify } from 'node:util';
import { gzipSync } from 'node:zlib';
import { CLIENT, MODULES, clientText as text } from './client-files.mjs';
import { startEventServer } from './event-server.mjs';
import { startConfigured } from './harness.mjs';

const run = promisify(execFile);
const HERE = import.meta.dirname;

/** The file and all that it imports at once. */
function closure(name, seen = new Set()) {
  if (seen.has(name)) return seen;
  seen.add(name);
  for (const [, other] of text(name).matchAll(/^import .* from '\.\/(.*)';$/gm)) closure(other, seen);
  return seen;
}

test('its types are strict', async () => {
  for (const project of ['tsconfig.json', 'tsconfig.worker.json']) {
    await run(path.join(HERE, 'node_modules/.bin/tsc'), ['-p', path.join(CLIENT, project)]).catch(({ stdout }) => assert.fail(stdout));
  }
});

test('a page loads less than 5 KB', () => {
  const sizes = [...closure('mux.js')].map((name) => [name, gzipSync(text(name)).length]);
  const sum = sizes.reduce((sum, [, size]) => sum + size, 0);
  assert.ok(sum < 5000, `${sum} bytes: ${sizes.join(' ')}`);
});

test('its parser is the published one', () => {
  const published = fs.readFileSync(path.join(HERE, 'node_modules/eventsource-parser/dist/index.js'), 'utf8');
  assert.ok(text('eventsource-parser.js').endsWith(`\n${published}`));
  const { version } = JSON.parse(fs.readFileSync(path.join(HERE, 'node_modules/eventsource-parser/package.json'), 'utf8'));
  assert.ok(text('eventsource-parser.js').includes(`eventsource-parser ${version}`));
});

test('its package has all files and nothing else', async () => {
  const { stdout } = await run('npm', ['pack', '--dry-run', '--json', '--offline'], { cwd: CLIENT });
  const report = JSON.parse(stdout);
  const files = Object.values(report)[0].files.map(({ path }) => path).sort();
  assert.deepEqual(files, [...MODULES, 'README.md', 'mux.d.ts', 'package.json'].sort());
});

test('the proxy serves it as it is, with its type, and not again if it is known', async (t) => {
  const origin = await startEventServer(t);
  const proxy = await startConfigured(t, `
[[listener]]
address = "ADDRESS"

[[route]]
path = "/*"
upstream = "${origin.url}"
`);
  for (const name of [...MODULES, 'mux.d.ts']) {
    const url = `${proxy.url}/.sse/${name}`;
    const answer = await fetch(url);
    assert.equal(answer.status, 200, name);
    assert.equal(await answer.text(), text(name), name);
    assert.equal(answer.headers.get('content-type'), `text/${name.endsWith('.ts') ? 'plain' : 'javascript'}; charset=utf-8`);
    assert.equal(answer.headers.get('service-worker-allowed'), '/');
    const again = await fetch(url, { headers: { 'If-None-Match': answer.headers.get('etag') } });
    assert.deepEqual([again.status, await again.text()], [304, '']);
    assert.equal((await fetch(url, { method: 'HEAD' })).headers.get('content-length'), String(Buffer.byteLength(text(name))));
    assert.equal((await fetch(url, { method: 'POST', body: 'x' })).status, 405);
  }
  assert.equal((await fetch(`${proxy.url}/.sse/other.js`)).status, 404, 'the origin has it not');
  assert.equal(origin.requests.filter((path) => path.startsWith('/.sse/')).length, 1);
});
