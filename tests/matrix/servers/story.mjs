// What all the servers in this language share: the events they tell, and what they say of their clients.
//
//   PORT    where to listen; any free port if not given
//   STORY   a file of events: [{ id, type, data, retry, silence }], of which only id and data must be there
//
// `/events?run=NAME&pause=MS` tells the story from the event after Last-Event-ID on, and then keeps still until the
// client leaves. Lines on standard output: {"ready":PORT}, {"opened":NAME,"last":ID}, {"left":NAME}.

import fs from 'node:fs';
import { setTimeout as wait } from 'node:timers/promises';

export const story = JSON.parse(fs.readFileSync(process.env.STORY, 'utf8'));

export const say = (line) => process.stdout.write(`${JSON.stringify(line)}\n`);

/** Runs a server of node:http, or an app of Express, and tells when it is there. */
export function listen(app) {
  const server = app.listen(Number(process.env.PORT ?? 0), '127.0.0.1', () => say({ ready: server.address().port }));
}

/** The events that this request has not had yet, each when it is due, as long as the client is there. */
export async function* told(req, res, last = req.headers['last-event-id'] ?? null) {
  const { searchParams } = new URL(req.url, 'http://origin');
  const run = searchParams.get('run');
  const pause = Number(searchParams.get('pause') ?? 5);
  let gone = false;
  say({ opened: run, last });
  res.once('close', () => {
    gone = true;
    say({ left: run });
  });
  for (const event of story.slice(story.findIndex(({ id }) => id === last) + 1)) {
    await wait(event.silence ?? 0);
    if (gone) return;
    yield event;
    await wait(pause);
  }
}

/** An event as a server writes it by hand. `named` makes the name of a field. */
export function block({ id, type, data, retry }, named = (field) => field) {
  const fields = [['id', id], ['event', type], ['retry', retry], ...data.split('\n').map((line) => ['data', line])];
  const lines = fields.filter(([, value]) => value !== undefined).map(([field, value]) => `${named(field)}: ${value}\n`);
  return `${lines.join('')}\n`;
}
