// npm eventsource, the newest. It says it wants Node 22, and runs on 20.

import { EventSource } from 'eventsource';
import { readSource, serve } from './jobs.mjs';

await serve((...job) => readSource(EventSource, ...job));
