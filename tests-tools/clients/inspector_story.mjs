// Calls a server with the MCP Inspector on its command line (`@modelcontextprotocol/inspector`), one process for each step. What
// it is told and what it tells is in story.py. It has no client credentials. What it keeps of signing in is in HOME, which is to
// be a folder of its own.
import { spawn } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import readline from 'node:readline';
import { emit, era, follow, installed, line, promptArguments, url, way } from './story.mjs';

const entry = path.join(installed, '@modelcontextprotocol/inspector/clients/launcher/build/index.js');
const environment = { ...process.env, MCP_INSPECTOR_SECRET_STORE: 'file', MCP_AUTO_OPEN_ENABLED: 'true' };
delete environment.DISPLAY;
delete environment.WAYLAND_DISPLAY;

// On its command line it says that it can put questions to a person, and then waits for an answer that nobody can give. So it is
// told here that there is nobody to ask.
const settings = path.join(process.env.HOME, `inspector-${era}.json`);
const headers = way === 'token' ? { Authorization: `Bearer ${process.env.LOOPIQ_TOKEN}` } : undefined;
const server = { type: 'streamable-http', url, protocolEra: era, elicitCapability: 'off', headers };
writeFileSync(settings, JSON.stringify({ mcpServers: { loopiq: server } }), { mode: 0o600 });

class Refused extends Error {
  constructor({ code, message, data }) {
    super(message);
    Object.assign(this, { code, data });
  }
}

/** One run of the Inspector; what it said of the result. */
async function asked(method, ...more) {
  const stored = way === 'token' ? ['--stored-auth-only'] : [];
  const child = spawn(
    process.execPath,
    [
      entry, '--cli', '--config', settings, '--server', 'loopiq', '--format', 'json', '--method', method,
      '--callback-url', 'http://127.0.0.1:0/oauth/callback', ...stored, ...more,
    ],
    { env: environment, stdio: ['ignore', 'pipe', 'pipe'] },
  );
  let out = '';
  let complaints = '';
  child.stdout.on('data', (chunk) => (out += chunk));
  readline.createInterface({ input: child.stderr }).on('line', async (text) => {
    complaints += `${text}\n`;
    const address = text.match(/^Please navigate to: (.*)$/);
    if (address) {
      emit({ op: 'authorize', url: address[1] });
      await fetch(await line());
    }
  });
  const code = await new Promise((resolve) => child.on('close', resolve));
  let said;
  try {
    said = JSON.parse(out);
  } catch {
    // An error is told beside the result, as one JSON object.
    const told = complaints.split('\n').filter((text) => text.startsWith('{')).map((text) => JSON.parse(text)).at(-1);
    throw told?.error ? new Refused(told.error) : new Error(`${method}: exit ${code}: ${complaints}`);
  }
  return said.result ?? said;
}

const perform = async (step) => {
  switch (step.op) {
    case 'list_tools':
      return { tools: (await asked('tools/list')).tools.map((tool) => tool.name) };
    case 'call': {
      const result = await asked('tools/call', '--tool-name', step.name, '--tool-args-json', JSON.stringify(step.arguments ?? {}));
      return {
        name: step.name,
        isError: result.isError ?? false,
        structuredContent: result.structuredContent ?? null,
        content: result.content,
      };
    }
    case 'list_resources':
      return { resources: (await asked('resources/list')).resources.map((item) => item.uri) };
    case 'list_resource_templates':
      return { resourceTemplates: (await asked('resources/templates/list')).resourceTemplates.map((item) => item.uriTemplate) };
    case 'read_resource': {
      const uri = step.uri ?? (await asked('resources/list')).resources[0].uri;
      return { uri, contents: (await asked('resources/read', '--uri', uri)).contents };
    }
    case 'list_prompts':
      return { prompts: (await asked('prompts/list')).prompts.map((item) => item.name) };
    case 'get_prompt': {
      const listed = (await asked('prompts/list')).prompts;
      const prompt = listed.find((item) => step.name === undefined || item.name === step.name);
      const pairs = Object.entries(promptArguments(prompt, step)).map(([name, value]) => `${name}=${value}`);
      const given = pairs.length === 0 ? [] : ['--prompt-args', ...pairs];
      return { name: prompt.name, messages: (await asked('prompts/get', '--prompt-name', prompt.name, ...given)).messages };
    }
    default:
      throw new Error(`unknown operation ${step.op}`);
  }
};

// It tells no revision by itself, and connects for each step anew; only a person must have let it in before.
try {
  if (way === 'oauth') await asked('tools/list', '--relogin');
  emit({ op: 'connect', protocolVersion: null });
} catch (error) {
  emit({ op: 'connect', failure: `${error.name}: ${error.message}`, code: error.code });
  process.exit(1);
}
await follow(perform, (error) => error instanceof Refused);
process.exit(0);
