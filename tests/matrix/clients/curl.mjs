// curl, asked again with the last id when the connection breaks.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { setTimeout as wait } from 'node:timers/promises';
import { createParser } from 'eventsource-parser';
import { serve } from './jobs.mjs';

await serve(async ({ url }, hear, trouble) => {
  let last;
  for (let done = false; !done; await wait(100)) {
    const resume = last === undefined ? [] : ['--header', `Last-Event-ID: ${last}`];
    const args = ['--silent', '--show-error', '--fail', '--no-buffer', '--compressed', ...resume, url];
    const curl = spawn('curl', args, { stdio: ['ignore', 'pipe', 'pipe'] });
    const exited = once(curl, 'exit');
    const parser = createParser({
      onEvent: ({ event, id, data }) => {
        if (done) return;
        last = id ?? last;
        done = hear(event ?? 'message', id, data);
        if (done) curl.kill();
      },
    });
    curl.stdout.setEncoding('utf8').on('data', (text) => parser.feed(text));
    const said = [];
    curl.stderr.on('data', (data) => said.push(data));
    const [code] = await exited;
    if (code === 22) throw said.join(''); // a status
    if (!done) trouble(`exit ${code} ${said.join('').trim()}`);
  }
});
