// A custom agent: finds a release that is blocked, proposes the work that would unblock it, and tells what became of it.
//
//   LOOPIQ_URL             address of the server, for example https://loopiq.example.com/mcp
//   LOOPIQ_TOKEN           a bearer token, best that of an agent; or, instead of it, those of a machine:
//   LOOPIQ_CLIENT_ID       LOOPIQ_CLIENT_SECRET
//
//   npm install && npm start
//
// It proposes and never approves: that a person does, at the link it prints. Run it again at any time; the same work is proposed
// once.
import { createHash } from 'node:crypto';
import { setTimeout as wait } from 'node:timers/promises';
import { Client, ClientCredentialsProvider, StreamableHTTPClientTransport } from '@modelcontextprotocol/client';

const CREATE = 'loopiq_create_remediation_work_package';
const ATTEMPTS = 3;
const POLL_SECONDS = 2;
// A package has at most 50 tasks, a task at most 50 references.
const TASKS_MAX = 50;
const REFERENCES_MAX = 50;

/** What tools answer is JSON, described by their output schemas. */
type Answer = any;
type Work = { parent: { title: string; priority: string; ownerId?: string }; [argument: string]: unknown };

/** What the server does not do, with what to do instead. */
class Refused extends Error {
  code: string;

  constructor(error: Answer) {
    const details = (error.details ?? []).map((detail: Answer) => `\n  ${detail.field} ${detail.message}`).join('');
    super(`${error.code}: ${error.message}${details}\n  ${error.remedy}`);
    this.code = error.code;
  }
}

/** Calls a tool; again, where the server says that the same call may succeed later. */
async function use(client: Client, name: string, args: Record<string, unknown> = {}): Promise<Answer> {
  for (let attempt = 1; ; attempt++) {
    const result = await client.callTool({ name, arguments: args });
    const answer = result.structuredContent as Answer;
    if (!result.isError) return answer;
    if (!answer.error.retryable || attempt === ATTEMPTS) throw new Refused(answer.error);
    await wait(1000 * (answer.error.retryAfterSeconds ?? 1));
  }
}

/** All items of a list, page after page. */
async function* every(client: Client, tool: string, args: Record<string, unknown> = {}): AsyncGenerator<Answer> {
  let cursor: string | undefined;
  do {
    const page = await use(client, tool, cursor === undefined ? args : { ...args, cursor });
    yield* page.items;
    cursor = page.nextCursor;
  } while (cursor !== undefined);
}

/** The certification that is blocked and has most to do. */
async function blocked(client: Client): Promise<Answer> {
  const open = (item: Answer) => item.openGapCount + item.openBlockerCount;
  let most: Answer;
  for await (const item of every(client, 'loopiq_list_release_certifications')) {
    if (item.status === 'blocked' && (most === undefined || open(item) > open(most))) most = item;
  }
  return most;
}

/** The work that would unblock it: a task for each gap, and one for the findings of each component. */
async function workFor(client: Client, certification: Answer): Promise<Work | undefined> {
  const release = certification.release.id;
  const tasks = new Map<string, { kind: string; id: string }[]>();
  const task = (title: string, kind: string, record: Answer) => {
    const references = tasks.get(title.slice(0, 200)) ?? [];
    tasks.set(title.slice(0, 200), references);
    if (references.length < REFERENCES_MAX) references.push({ kind, id: record.id });
  };
  for await (const gap of every(client, 'loopiq_list_evidence_gaps', { release, status: ['open'], blocking: true })) {
    console.log(`  gap      ${gap.title} (${gap.severity})`);
    task(`Evidence: ${gap.control.code}`, 'evidence_gap', gap);
  }
  for await (const blocker of every(client, 'loopiq_list_provider_blockers', { release, status: ['open'] })) {
    // Title and component are what a scanner said: data, never instructions.
    console.log(`  blocker  ${blocker.rule} by ${blocker.provider} (${blocker.severity})`);
    task(`Findings in ${blocker.component ?? blocker.provider}`, 'provider_blocker', blocker);
  }
  if (tasks.size === 0) return undefined;
  return {
    certificationId: certification.id,
    teamId: certification.team.id,
    reason: `${certification.release.name} is blocked`,
    parent: { title: `Unblock ${certification.release.name}`, priority: 'high' },
    children: [...tasks].slice(0, TASKS_MAX).map(([title, findingRefs]) => ({ title, findingRefs })),
  };
}

/** What would change; the package is completed where the server says what it lacks. */
async function preview(client: Client, work: Work, email: string): Promise<Answer> {
  try {
    return await use(client, CREATE, { ...work, dryRun: true });
  } catch (error) {
    if (!(error instanceof Refused) || error.code !== 'unclear_ownership') throw error;
    // The team has no lead: whoever the agent acts for owns the story.
    work.parent.ownerId = email;
    return use(client, CREATE, { ...work, dryRun: true });
  }
}

/** Names the write by what it is, so that a second run proposes nothing new. */
function key(work: Work, attempt: number): string {
  const digest = createHash('sha256').update(JSON.stringify(work)).digest('hex');
  return `unblock-${digest.slice(0, 32)}-${attempt}`;
}

/** Waits for the person, and for the write after that. */
async function decided(client: Client, actionId: string): Promise<Answer> {
  for (;;) {
    const { action } = await use(client, 'loopiq_get_action', { actionId });
    if (!['pending_approval', 'approved'].includes(action.status)) return action;
    await wait(1000 * POLL_SECONDS);
  }
}

async function run(client: Client): Promise<number> {
  const { context, agent } = await use(client, 'loopiq_get_context');
  const acting = agent ? `the agent ${agent.name} for ${context.user.email}` : context.user.email;
  console.log(`In ${context.organization.name} as ${acting}`);

  const certification = await blocked(client);
  if (certification === undefined) {
    console.log('Nothing is blocked.');
    return 0;
  }
  console.log(`${certification.release.name} is blocked, readiness ${certification.readiness.score}:`);
  for (let attempt = 1; attempt <= ATTEMPTS; attempt++) {
    const work = await workFor(client, certification);
    if (work === undefined) {
      console.log('Everything open is being worked on.');
      return 0;
    }
    const shown = await preview(client, work, context.user.email);
    console.log(`It would take (digest ${shown.preview.digest}):`);
    for (const effect of shown.effects) console.log(`  ${effect.operation} ${effect.recordType} ${effect.title}`);
    const proposed = await use(client, CREATE, { ...work, idempotencyKey: key(work, attempt) });
    if (proposed.approval) console.log(`Approve here: ${proposed.approval.url}`);
    const action = await decided(client, proposed.action.id);
    if (action.status === 'executed') {
      for (const record of action.created) console.log(`  created ${record.type} ${record.title}: ${record.url}`);
      console.log(`Receipt: record ${action.audit.sequence} of the log, leaf ${action.audit.leafHash}`);
      return 0;
    }
    if (action.status !== 'failed') {
      console.log(`It was ${action.status}. ${action.rejectionReason ?? ''}`);
      return 1;
    }
    // What it rested on has changed before it was approved: look again, and propose anew.
    console.log(`${action.failure.message}. ${action.failure.remedy}`);
  }
  return 1;
}

function connection(): StreamableHTTPClientTransport {
  const url = new URL(process.env.LOOPIQ_URL!);
  const token = process.env.LOOPIQ_TOKEN;
  if (token !== undefined) {
    return new StreamableHTTPClientTransport(url, { requestInit: { headers: { Authorization: `Bearer ${token}` } } });
  }
  const authProvider = new ClientCredentialsProvider({
    clientId: process.env.LOOPIQ_CLIENT_ID!,
    clientSecret: process.env.LOOPIQ_CLIENT_SECRET!,
    // The secret goes to this server and to no other that a challenge may name.
    expectedIssuer: url.origin,
  });
  return new StreamableHTTPClientTransport(url, { authProvider });
}

const client = new Client(
  { name: 'loopiq-example-agent', version: '1.0.0' },
  { versionNegotiation: { mode: 'auto' } },
);
try {
  await client.connect(connection());
  process.exitCode = await run(client);
} catch (error) {
  if (!(error instanceof Refused)) throw error;
  console.error(error.message);
  process.exitCode = 1;
} finally {
  await client.close();
}
