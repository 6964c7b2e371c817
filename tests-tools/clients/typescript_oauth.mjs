// Connects with the official TypeScript SDK by its own OAuth client and tells what came of it, as JSON lines.
//
// Usage: node typescript_oauth.mjs URL ERA        ERA: legacy | modern
// Says {"op":"authorize","url":"..."} where a person would be asked, and reads from standard input a line with the address
// the browser was led back to. Then, as JSON lines: connect, list_tools, context; and after its access token was spoilt,
// so that it has to be refreshed, context again.
import { createRequire } from 'node:module';
import path from 'node:path';
import readline from 'node:readline';
import { pathToFileURL } from 'node:url';

const [url, era] = process.argv.slice(2);
const modules = process.env.LOOPIQ_TEST_NPM;
const require = createRequire(path.join(path.resolve(modules), '..', 'story.cjs'));
const entry = require.resolve('@modelcontextprotocol/client').replace(/index\.cjs$/, 'index.mjs');
const { Client, StreamableHTTPClientTransport, UnauthorizedError } = await import(pathToFileURL(entry).href);

const emit = (line) => console.log(JSON.stringify(line));
const kept = {};
const provider = {
  redirectUrl: 'http://127.0.0.1:45671/callback',
  clientMetadata: {
    client_name: 'TypeScript SDK',
    redirect_uris: ['http://127.0.0.1:45671/callback'],
    grant_types: ['authorization_code', 'refresh_token'],
    response_types: ['code'],
    token_endpoint_auth_method: 'none',
  },
  state: () => 'of-the-typescript-sdk',
  clientInformation: () => kept.client,
  saveClientInformation: (client) => void (kept.client = client),
  tokens: () => kept.tokens,
  saveTokens: (tokens) => void (kept.tokens = tokens),
  redirectToAuthorization: (address) => emit({ op: 'authorize', url: String(address) }),
  saveCodeVerifier: (verifier) => void (kept.verifier = verifier),
  codeVerifier: () => kept.verifier,
};
const made = () => ({
  client: new Client(
    { name: 'loopiq-typescript-oauth', version: '1.0.0' },
    { versionNegotiation: { mode: era === 'modern' ? 'auto' : 'legacy' } },
  ),
  transport: new StreamableHTTPClientTransport(new URL(url), { authProvider: provider }),
});
const context = async (client) => {
  const answer = await client.callTool({ name: 'loopiq_get_context', arguments: {} });
  emit({ op: 'context', structuredContent: answer.structuredContent });
};

const lines = readline.createInterface({ input: process.stdin });
try {
  let { client, transport } = made();
  try {
    await client.connect(transport);
    throw new Error('connected without being let in');
  } catch (error) {
    if (!(error instanceof UnauthorizedError)) throw error;
  }
  const [back] = await new Promise((resolve) => lines.once('line', (line) => resolve([line])));
  await transport.finishAuth(new URL(back).searchParams);
  ({ client, transport } = made());
  await client.connect(transport);
  emit({ op: 'connect', protocolVersion: client.getNegotiatedProtocolVersion() });
  emit({ op: 'list_tools', tools: (await client.listTools()).tools.map((tool) => tool.name) });
  await context(client);
  const before = kept.tokens.refresh_token;
  kept.tokens = { ...kept.tokens, access_token: 'spoilt' };
  await context(client);
  emit({ op: 'refreshed', rotated: kept.tokens.refresh_token !== before });
  await client.close();
} catch (error) {
  emit({ op: 'failure', failure: `${error?.name}: ${error?.message}` });
}
process.exit(0);
