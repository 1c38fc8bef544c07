// What all the clients in this language share.
//
// A client reads jobs, one JSON object a line: { run, url, take, types }. It reads `url` until it has `take` events,
// coming back with the last id as often as it must, and leaves. What it sees it prints: { run, type, id, data, at } for
// an event (at: milliseconds since it asked), { run, error } for a trouble it goes on after, { run, failed } for one it
// does not, and in the end { run, closed } after it has left.

import readline from 'node:readline';

export async function serve(read) {
  for await (const line of readline.createInterface({ input: process.stdin })) {
    const job = JSON.parse(line);
    const start = performance.now();
    const say = (words) => process.stdout.write(`${JSON.stringify({ run: job.run, ...words })}\n`);
    let heard = 0;
    /** Tells of an event, and whether it was the last one. */
    const hear = (type, id, data, at = performance.now() - start) => {
      heard += 1;
      say({ type, id, data, at });
      return heard >= job.take;
    };
    try {
      await read(job, hear, (error) => say({ error: String(error) }));
    } catch (error) {
      say({ failed: String(error) });
    }
    say({ closed: true });
  }
}

/** The job of any EventSource, whoever made it. */
export function readSource(EventSource, { url, take, types }, hear, trouble) {
  return new Promise((resolve, reject) => {
    const source = new EventSource(url);
    const done = (end, value) => {
      source.close();
      end(value);
    };
    let heard = 0;
    for (const type of types) {
      source.addEventListener(type, ({ lastEventId, data }) => {
        if (heard >= take) return;
        heard += 1;
        if (hear(type, lastEventId, data)) done(resolve);
      });
    }
    source.addEventListener('error', ({ message, status, code }) => {
      const what = `${message ?? ''} ${code ?? status ?? ''}`.trim() || 'error';
      if (source.readyState === 2) done(reject, what);
      else trouble(what);
    });
  });
}
