// npm eventsource 2, as much old code has it.

import EventSource from 'eventsource-2';
import { readSource, serve } from './jobs.mjs';

await serve((...job) => readSource(EventSource, ...job));
