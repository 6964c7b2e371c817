// Runs the official conformance suite against a server, one revision after another.
//
// Usage: node run.mjs URL [--fixtures] [--revisions 2026-07-28,2025-11-25] [--out DIR] [--suite PATH]
//   URL        the MCP endpoint, without authentication (put proxy.mjs before a server that asks for a token)
//   --fixtures the server has the suite's fixtures: more scenarios, and another list of what may fail
//   --out      where the suite's own records and logs go (default: a new temporary folder)
//   --suite    the suite's entry file (default: found below LOOPIQ_TEST_NPM, the folder node_modules)
//
// Prints one line of JSON for each revision:
//   {"revision","scenarios","passed","failed","warnings","expected","unexpected","stale","exit","problem","out"}
// passed / failed / warnings count single checks; expected, unexpected and stale name scenarios or scenario:check.
// What may fail is in expected-failures/REVISION.yml: whatever needs the suite's own fixtures, nothing else. An entry
// that passes is stale and fails the run. Exit: 0 all as expected, 1 not, 2 wrong use.
import { spawn } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

const here = path.dirname(fileURLToPath(import.meta.url));

// Each revision is a list of calls of the suite. A frozen requirement set leaves its newer, unscored scenarios out of
// the baseline, so those which bind a server without fixtures are run again by name. The oldest revision has next to no
// scenarios of its own: the ones of the next revision are run with its schema.
const PLAN = {
  '2026-07-28': [
    ['--requirements', '2026-07-28'],
    ['--spec-version', '2026-07-28', '--scenario', 'http-header-validation'],
    ['--spec-version', '2026-07-28', '--scenario', 'http-custom-header-server-validation'],
  ],
  '2025-11-25': [['--requirements', '2025-11-25']],
  '2025-06-18': [['--spec-version', '2025-06-18', '--suite', 'all']],
  '2025-03-26': [
    ['--spec-version', '2025-03-26', '--suite', 'all'],
    ...['server-initialize', 'ping', 'tools-list', 'resources-list', 'prompts-list'].map((scenario) => [
      '--spec-version', '2025-03-26', '--force', '--scenario', scenario,
    ]),
  ],
};

// With the suite's fixtures in the server, the scenarios that no requirement set scores run too.
const WITH_FIXTURES = {
  ...PLAN,
  '2026-07-28': [
    ...PLAN['2026-07-28'],
    ...[
      'json-schema-2020-12', 'tasks-lifecycle', 'tasks-capability-negotiation', 'tasks-wire-fields',
      'tasks-request-state-removal', 'tasks-mrtr-input', 'tasks-request-headers', 'tasks-dispatch-and-envelope',
      'tasks-status-notifications', 'tasks-required-task-error', 'tasks-mrtr-composition',
      'sep-2640-skills-enumeration', 'sep-2640-skills-manifest', 'sep-2640-skills-directory',
    ].map((scenario) => ['--spec-version', '2026-07-28', '--force', '--scenario', scenario]),
  ],
  '2025-11-25': [
    ...PLAN['2025-11-25'],
    ['--spec-version', '2025-11-25', '--scenario', 'json-schema-2020-12'],
  ],
};

const CALL_LIMIT_MS = 240_000;

function fail(message) {
  console.error(message);
  process.exit(2);
}

function options(argv) {
  const found = { revisions: Object.keys(PLAN), fixtures: false, out: undefined, suite: undefined, url: undefined };
  for (let i = 0; i < argv.length; i += 1) {
    if (argv[i] === '--revisions') found.revisions = argv[(i += 1)].split(',');
    else if (argv[i] === '--fixtures') found.fixtures = true;
    else if (argv[i] === '--out') found.out = argv[(i += 1)];
    else if (argv[i] === '--suite') found.suite = argv[(i += 1)];
    else if (!argv[i].startsWith('--') && found.url === undefined) found.url = argv[i];
    else fail(`unknown argument ${argv[i]}`);
  }
  if (found.url === undefined) fail('usage: node run.mjs URL [--revisions A,B] [--out DIR] [--suite PATH]');
  for (const revision of found.revisions) if (!PLAN[revision]) fail(`no plan for revision ${revision}`);
  found.suite ??= path.join(process.env.LOOPIQ_TEST_NPM ?? '', '@modelcontextprotocol', 'conformance', 'dist', 'index.js');
  if (!existsSync(found.suite)) fail(`the conformance suite is not at ${found.suite}: set LOOPIQ_TEST_NPM or run cargo xtask test`);
  found.out ??= mkdtempSync(path.join(tmpdir(), 'conformance-'));
  return found;
}

/** Calls the suite once; answers its exit code and what it printed. */
function call(suite, args) {
  return new Promise((resolve) => {
    const child = spawn(process.execPath, [suite, 'server', ...args], { stdio: ['ignore', 'pipe', 'pipe'] });
    let text = '';
    child.stdout.on('data', (data) => (text += data));
    child.stderr.on('data', (data) => (text += data));
    const timer = setTimeout(() => child.kill('SIGKILL'), CALL_LIMIT_MS);
    child.on('close', (code, signal) => {
      clearTimeout(timer);
      resolve({ code: code ?? 1, signal, text: text.replace(/\x1b\[[0-9;]*m/g, '') });
    });
  });
}

/** The names listed below a heading of the suite's verdict. */
function listed(text, heading) {
  const lines = text.split('\n');
  const at = lines.findIndex((line) => line.startsWith(heading));
  if (at < 0) return [];
  const names = [];
  for (const line of lines.slice(at + 1)) {
    const entry = line.match(/^ {2}[~✓✗] (\S+)$/u);
    if (!entry) break;
    names.push(entry[1]);
  }
  return names;
}

async function run(revision, { url, suite, out, fixtures }) {
  const folder = path.join(out, revision);
  mkdirSync(folder, { recursive: true });
  const baseline = path.join(here, fixtures ? 'expected-failures-with-fixtures' : 'expected-failures', `${revision}.yml`);
  const report = { revision, scenarios: 0, passed: 0, failed: 0, warnings: 0, expected: [], unexpected: [], stale: [], exit: 0 };
  let log = '';
  for (const [index, args] of (fixtures ? WITH_FIXTURES : PLAN)[revision].entries()) {
    const records = path.join(folder, String(index));
    const { code, signal, text } = await call(suite, ['--url', url, ...args, '--expected-failures', baseline, '-o', records]);
    log += `$ server --url ${url} ${args.join(' ')}\n${text}\n`;
    report.expected.push(...listed(text, 'Expected failures'));
    report.unexpected.push(...listed(text, 'Unexpected failures (not'));
    report.stale.push(...listed(text, 'Stale baseline entries'));
    if (code !== 0) report.exit = code;
    // A crash of the suite must not look like a clean run.
    if (signal) report.problem = `the suite was ended after ${CALL_LIMIT_MS} ms`;
    if (!text.includes('Baseline check passed') && !text.includes('Unexpected failures (not') && !text.includes('Stale baseline')) {
      report.problem ??= `the suite gave no verdict: ${text.trim().split('\n').at(-1)}`;
    }
    for (const name of existsSync(records) ? readdirSync(records) : []) {
      const file = path.join(records, name, 'checks.json');
      if (!existsSync(file)) continue;
      report.scenarios += 1;
      for (const check of JSON.parse(readFileSync(file, 'utf8'))) {
        if (check.status === 'SUCCESS') report.passed += 1;
        if (check.status === 'FAILURE') report.failed += 1;
        if (check.status === 'WARNING') report.warnings += 1;
      }
    }
  }
  if (report.scenarios === 0) report.problem ??= 'no scenario ran';
  if (report.problem) report.exit ||= 1;
  report.out = path.join(folder, 'log.txt');
  writeFileSync(report.out, log);
  return report;
}

const chosen = options(process.argv.slice(2));
let exit = 0;
for (const revision of chosen.revisions) {
  const report = await run(revision, chosen);
  console.log(JSON.stringify(report));
  if (report.exit !== 0) exit = 1;
}
process.exit(exit);
