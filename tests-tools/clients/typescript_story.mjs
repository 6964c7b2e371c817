// Calls a server with the official TypeScript SDK and tells what came back, as JSON lines.
//
// Usage: node typescript_story.mjs URL TOKEN ERA < calls.json        ERA: legacy | modern
// The SDK is looked up in LOOPIQ_TEST_NPM (a folder node_modules). Operations and lines are the same as in
// python_story.py, which describes them.
import { createRequire } from 'node:module';
import path from 'node:path';
import { pathToFileURL } from 'node:url';

const [url, token, era] = process.argv.slice(2);
if (process.argv.length !== 5 || !['legacy', 'modern'].includes(era)) {
  console.error('usage: node typescript_story.mjs URL TOKEN legacy|modern < calls.json');
  process.exit(2);
}
const modules = process.env.LOOPIQ_TEST_NPM;
if (!modules) {
  console.error('LOOPIQ_TEST_NPM is not set: run cargo xtask test');
  process.exit(2);
}
const require = createRequire(path.join(path.resolve(modules), '..', 'story.cjs'));
const entry = require.resolve('@modelcontextprotocol/client').replace(/index\.cjs$/, 'index.mjs');
const { Client, ProtocolError, StreamableHTTPClientTransport } = await import(pathToFileURL(entry).href);

const emit = (line) => console.log(JSON.stringify(line));

function refusal(error) {
  if (error instanceof ProtocolError) {
    return { error: { code: error.code, message: error.message, data: error.data ?? null } };
  }
  const cause = error?.cause instanceof Error ? ` (${error.cause.message})` : '';
  return { failure: `${error?.name ?? 'Error'}: ${error?.message ?? error}${cause}`, code: error?.code, status: error?.status };
}

async function perform(client, call) {
  switch (call.op) {
    case 'list_tools':
      return { tools: (await client.listTools()).tools.map((tool) => tool.name) };
    case 'call': {
      const result = await client.callTool({ name: call.name, arguments: call.arguments ?? {} });
      return {
        name: call.name,
        isError: result.isError ?? false,
        structuredContent: result.structuredContent ?? null,
        content: result.content,
      };
    }
    case 'list_resources':
      return { resources: (await client.listResources()).resources.map((item) => item.uri) };
    case 'list_resource_templates':
      return { resourceTemplates: (await client.listResourceTemplates()).resourceTemplates.map((item) => item.uriTemplate) };
    case 'read_resource':
      return { uri: call.uri, contents: (await client.readResource({ uri: call.uri })).contents };
    case 'list_prompts':
      return { prompts: (await client.listPrompts()).prompts.map((item) => item.name) };
    case 'get_prompt':
      return {
        name: call.name,
        messages: (await client.getPrompt({ name: call.name, arguments: call.arguments ?? {} })).messages,
      };
    default:
      throw new Error(`unknown operation ${call.op}`);
  }
}

async function input() {
  let text = '';
  for await (const chunk of process.stdin) text += chunk;
  return JSON.parse(text);
}

const calls = await input();
const client = new Client(
  { name: 'loopiq-typescript-story', version: '1.0.0' },
  { versionNegotiation: { mode: era === 'modern' ? 'auto' : 'legacy' } },
);
const transport = new StreamableHTTPClientTransport(new URL(url), {
  requestInit: { headers: { Authorization: `Bearer ${token}` } },
});
try {
  await client.connect(transport, { timeout: 30_000 });
} catch (error) {
  emit({ op: 'connect', ...refusal(error) });
  process.exit(1);
}
emit({
  op: 'connect',
  protocolVersion: client.getNegotiatedProtocolVersion(),
  era: client.getProtocolEra(),
  server: client.getServerVersion()?.name ?? null,
});
for (const call of calls) {
  try {
    emit({ op: call.op, ...(await perform(client, call)) });
  } catch (error) {
    emit({ op: call.op, ...refusal(error) });
  }
}
await client.close();
