// What the scripts of the TypeScript clients and the Inspector share. How each is called, what it is told and what it tells is
// described in story.py. Packages are looked up in LOOPIQ_TEST_NPM (a folder node_modules).
import { createRequire } from 'node:module';
import path from 'node:path';
import readline from 'node:readline';
import { pathToFileURL } from 'node:url';

export const [url, era, way] = process.argv.slice(2);
if (process.argv.length !== 5 || !['legacy', 'modern'].includes(era) || !['token', 'oauth', 'machine'].includes(way)) {
  console.error(`usage: node ${process.argv[1]} URL legacy|modern token|oauth|machine < steps`);
  process.exit(2);
}
const modules = process.env.LOOPIQ_TEST_NPM;
if (!modules) {
  console.error('LOOPIQ_TEST_NPM is not set: run cargo xtask test');
  process.exit(2);
}
export const installed = path.resolve(modules);
const require = createRequire(path.join(installed, '..', 'story.cjs'));
export const load = async (name, change = (entry) => entry) => import(pathToFileURL(change(require.resolve(name))).href);

export const emit = (line) => console.log(JSON.stringify(line));

export function refusal(error, isProtocol) {
  if (isProtocol(error)) {
    return { error: { code: error.code, message: error.message, data: error.data ?? null } };
  }
  const cause = error?.cause instanceof Error ? ` (${error.cause.message})` : '';
  return { failure: `${error?.name ?? 'Error'}: ${error?.message ?? error}${cause}`, code: error?.code, status: error?.status };
}

const lines = readline.createInterface({ input: process.stdin })[Symbol.asyncIterator]();
/** The next line, or nothing at the end. */
export async function line() {
  const { value, done } = await lines.next();
  return done ? undefined : value.trim();
}

/** Makes the steps that come in; each is answered by a line. */
export async function follow(perform, isProtocol) {
  for (let text = await line(); text; text = await line()) {
    for (const step of [JSON.parse(text)].flat()) {
      try {
        emit({ op: step.op, ...(await perform(step)) });
      } catch (error) {
        emit({ op: step.op, ...refusal(error, isProtocol) });
      }
    }
  }
}

export function promptArguments(prompt, step) {
  const needed = (prompt.arguments ?? []).filter((argument) => argument.required && 'value' in step);
  return { ...Object.fromEntries(needed.map((argument) => [argument.name, step.value])), ...step.arguments };
}

export const machine = () => ({
  clientId: process.env.LOOPIQ_CLIENT_ID,
  clientSecret: process.env.LOOPIQ_CLIENT_SECRET,
  expectedIssuer: process.env.LOOPIQ_ISSUER,
});

/** What an SDK asks of the program around it, for signing in with a person: everything in memory, the person outside. */
export function person(name, port) {
  const kept = {};
  return {
    kept,
    redirectUrl: `http://127.0.0.1:${port}/callback`,
    clientMetadata: {
      client_name: name,
      redirect_uris: [`http://127.0.0.1:${port}/callback`],
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
    saveDiscoveryState: (state) => void (kept.discovery = state),
    discoveryState: () => kept.discovery,
  };
}

/** Connects and makes the steps, by the two TypeScript SDKs, which have the same methods. */
export async function story({ make, provider, finish, isProtocol, isUnauthorized, version }) {
  let { client, transport } = make();
  const connect = () => client.connect(transport, { timeout: 30_000 });
  try {
    if (way === 'oauth') {
      try {
        await connect();
        throw new Error('connected without being let in');
      } catch (error) {
        if (!isUnauthorized(error)) throw error;
      }
      await finish(transport, new URL(await line()).searchParams);
      ({ client, transport } = make());
    }
    await connect();
  } catch (error) {
    emit({ op: 'connect', ...refusal(error, isProtocol) });
    process.exit(1);
  }
  emit({ op: 'connect', protocolVersion: version(client, transport) });
  const perform = async (step) => {
    switch (step.op) {
      case 'list_tools':
        return { tools: (await client.listTools()).tools.map((tool) => tool.name) };
      case 'call': {
        const result = await client.callTool({ name: step.name, arguments: step.arguments ?? {} });
        return {
          name: step.name,
          isError: result.isError ?? false,
          structuredContent: result.structuredContent ?? null,
          content: result.content,
        };
      }
      case 'list_resources':
        return { resources: (await client.listResources()).resources.map((item) => item.uri) };
      case 'list_resource_templates':
        return { resourceTemplates: (await client.listResourceTemplates()).resourceTemplates.map((item) => item.uriTemplate) };
      case 'read_resource': {
        const uri = step.uri ?? (await client.listResources()).resources[0].uri;
        return { uri, contents: (await client.readResource({ uri })).contents };
      }
      case 'list_prompts':
        return { prompts: (await client.listPrompts()).prompts.map((item) => item.name) };
      case 'get_prompt': {
        const listed = (await client.listPrompts()).prompts;
        const prompt = listed.find((item) => step.name === undefined || item.name === step.name);
        const result = await client.getPrompt({ name: prompt.name, arguments: promptArguments(prompt, step) });
        return { name: prompt.name, messages: result.messages };
      }
      case 'spoil_token':
        provider.kept.before = provider.kept.tokens.refresh_token;
        provider.kept.tokens = { ...provider.kept.tokens, access_token: 'spoilt' };
        return {};
      case 'rotated':
        return { rotated: provider.kept.tokens.refresh_token !== provider.kept.before };
      default:
        throw new Error(`unknown operation ${step.op}`);
    }
  };
  await follow(perform, isProtocol);
  await client.close();
  process.exit(0);
}
