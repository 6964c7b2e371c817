// Calls a server with the TypeScript SDK of before (`@modelcontextprotocol/sdk`), which knows the handshake alone. What it is
// told and what it tells is in story.py.
import { load, machine, person, story, url, way } from './story.mjs';

const of = (file) => load(`@modelcontextprotocol/sdk/${file}`, (entry) => entry.replace('/dist/cjs/', '/dist/esm/'));
const { Client } = await of('client/index.js');
const { StreamableHTTPClientTransport } = await of('client/streamableHttp.js');
const { UnauthorizedError } = await of('client/auth.js');
const { ClientCredentialsProvider } = await of('client/auth-extensions.js');
const { McpError } = await of('types.js');

const provider = way === 'oauth' ? person('TypeScript SDK 1', 45673) : undefined;
const authProvider = way === 'machine' ? new ClientCredentialsProvider(machine()) : provider;
const requestInit = way === 'token' ? { headers: { Authorization: `Bearer ${process.env.LOOPIQ_TOKEN}` } } : undefined;

await story({
  provider,
  make: () => ({
    client: new Client({ name: 'loopiq-typescript-v1-story', version: '1.0.0' }),
    transport: new StreamableHTTPClientTransport(new URL(url), { authProvider, requestInit }),
  }),
  finish: (transport, answer) => transport.finishAuth(answer.get('code')),
  isProtocol: (error) => error instanceof McpError,
  isUnauthorized: (error) => error instanceof UnauthorizedError,
  version: (_, transport) => transport.protocolVersion,
});
