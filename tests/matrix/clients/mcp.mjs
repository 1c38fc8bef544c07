// The MCP SDK's client: calls the tool, hears its notifications, waits for its answer.

import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import { LoggingMessageNotificationSchema } from '@modelcontextprotocol/sdk/types.js';
import { serve } from './jobs.mjs';

const reconnectionOptions = {
  initialReconnectionDelay: 100, reconnectionDelayGrowFactor: 1, maxReconnectionDelay: 100, maxRetries: 10,
};

await serve(async ({ url, pause }, hear, trouble) => {
  const client = new Client({ name: 'matrix', version: '1.0.0' });
  client.onerror = trouble;
  client.setNotificationHandler(LoggingMessageNotificationSchema, ({ params: { data } }) => {
    hear(data.type ?? 'message', data.id, data.data);
  });
  await client.connect(new StreamableHTTPClientTransport(new URL(url), { reconnectionOptions }));
  await client.callTool({ name: 'tell', arguments: { pause } });
  await client.close();
});
