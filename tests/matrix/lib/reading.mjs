// One client reads one server once, and what it saw is compared with what the server told.

import assert from 'node:assert/strict';

let runs = 0;

/**
 * Reads in `mode` ('direct', or the proxy's 'private' or 'shared' route). `take`: leaves after so many events. `pause`:
 * milliseconds from event to event. `cut`: called with the run when the first event has come. `breaks`: the client is
 * not to get it all.
 */
export async function readStory({ server, client, near, mode, take = server.story.length, pause = 5, cut, breaks }) {
  runs += 1;
  const run = `r${runs}`;
  const right = mode === 'direct' ? server.right : {};
  const base = mode === 'direct' ? server.relay.port : `${near.port}/${mode}/${server.slug}`;
  const query = new URLSearchParams({ run, pause, ...right });
  const scheme = mode !== 'direct' && near.tls ? 'https' : 'http';
  const url = `${scheme}://127.0.0.1:${base}${server.path.replace('/*', '')}?${query}`;
  const types = [...new Set(server.story.map(({ type }) => type ?? 'message'))];
  const left = server.program.until(`left ${run}`, (line) => (line.left === run ? line.when : undefined));
  left.catch(() => {}); // told to whoever asks
  const seen = await client.read({ run, url, take, types, pause }, (count) => {
    if (count === 1) cut?.(run);
  });
  const told = server.story.map((event) => {
    const { type = 'message', id, data } = server.seen(event);
    return { type, id, data };
  });
  if (breaks) {
    assert.ok(seen.failed, `${mode}: the client is told that something is missing`);
    assert.deepEqual(seen.events, told.slice(0, seen.events.length), `${mode}: what came before the break`);
  } else {
    assert.equal(seen.failed, undefined, `${mode}: gave up`);
    assert.deepEqual(seen.events, told.slice(0, take), `${mode}: the same events, in order, with their ids`);
  }
  return { ...seen, run, left: async () => await left - seen.closed };
}
