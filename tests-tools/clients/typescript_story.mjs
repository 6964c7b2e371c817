// Calls a server with the official TypeScript SDK (`@modelcontextprotocol/client`). What it is told and what it tells is in
// story.py.
import { era, load, machine, person, story, url, way } from './story.mjs';

const { Client, ClientCredentialsProvider, ProtocolError, StreamableHTTPClientTransport, UnauthorizedError } = await load(
  '@modelcontextprotocol/client',
  (entry) => entry.replace(/index\.cjs$/, 'index.mjs'),
);

const provider = way === 'oauth' ? person('TypeScript SDK', 45671) : undefined;
const authProvider = way === 'machine' ? new ClientCredentialsProvider(machine()) : provider;
const requestInit = way === 'token' ? { headers: { Authorization: `Bearer ${process.env.LOOPIQ_TOKEN}` } } : undefined;

await story({
  provider,
  make: () => ({
    client: new Client(
      { name: 'loopiq-typescript-story', version: '1.0.0' },
      { versionNegotiation: { mode: era === 'modern' ? 'auto' : 'legacy' } },
    ),
    transport: new StreamableHTTPClientTransport(new URL(url), { authProvider, requestInit }),
  }),
  finish: (transport, answer) => transport.finishAuth(answer),
  isProtocol: (error) => error instanceof ProtocolError,
  isUnauthorized: (error) => error instanceof UnauthorizedError,
  version: (client) => client.getNegotiatedProtocolVersion(),
});
