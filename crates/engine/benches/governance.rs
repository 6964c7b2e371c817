//! What governance costs, as ratios within one run, so that the machine cancels out:
//!
//! * *authorization*: what a call pays for being let through the gate, and one fresh decision by policies, each against
//!   Cedar's own decision on the same policies and entities;
//! * *flows*: proposals approved by a person and executed, per second, against plain durable commits of one record to the
//!   same store, both by as many producers;
//! * *audit*: what the log costs, twice. Of a *complete write*: the two commits of a flow as the engine gives them to the
//!   store, with their three audit records and without, repeated with new ids. What the records add to the time of these
//!   commits (sealing, hashing, the rows of entries, bodies and subjects), divided by the time of a flow, is their share
//!   of a governed write. Of the *smallest commit*: durable commits of one record with an audit record against the same
//!   without. There is nothing else in such a commit, so this is the share at its worst, and no governed write has it.
//!
//! Times are taken as the reciprocal of what all producers get through in a second, so that waiting for the disk counts.
//!
//! `cargo bench -p engine --bench governance [-- <seconds per cell> <rounds>]`
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "a measuring program: it fails by panicking, measures time and prints what it found"
)]

use std::hint::black_box;
use std::str::FromStr as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime};

use cedar_policy::{Authorizer, Context, Entities, PolicySet, Request, Schema};
use domain::action::{Action, ActionState, Channel};
use domain::audit::AuditDraft;
use domain::effect::Effect;
use domain::id::{ActionId, ApprovalId, Ids, TeamId, WorkItemId};
use domain::org::Team;
use domain::permission::{Permission, Role};
use domain::record::{RecordType, VersionRead};
use domain::time::{Clock, Timestamp};
use engine::policy::{Change, DEFAULT, Policies, Question, SCHEMA, Scene, Subject};
use engine::{Admitted, Caller, Decision, Engine, RequestIds, Surface, tools};
use identity::{Actor, Identity, NewMember};
use serde::Deserialize;
use serde_json::value::to_raw_value;
use store::{AuditFilter, AuditRecord, Entropy, Org, Page, Store, Write};
use testkit::records;
use tokio::task::JoinSet;

/// As in the binary.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Producers that work at the same time.
const PRODUCERS: u64 = 64;
const PASSWORD: &str = "correct horse battery";

struct Now;
impl Clock for Now {
    fn now(&self) -> Timestamp {
        let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
        Timestamp(i64::try_from(since.as_micros()).unwrap())
    }
}

/// Ids that grow, as those of version 7 do.
#[derive(Default)]
struct Counter(AtomicU64);
impl Ids for Counter {
    fn next(&self) -> uuid::Uuid {
        let n = self.0.fetch_add(1, Ordering::Relaxed);
        uuid::Uuid::from_u64_pair(0x0190_0000_0000_7000, 0x8000_0000_0000_0000 | n)
    }
}

#[derive(Default)]
struct Bytes(AtomicU64);
impl Entropy for Bytes {
    fn fill(&self, bytes: &mut [u8]) {
        for byte in bytes {
            let n = self.0.fetch_add(1, Ordering::Relaxed).wrapping_mul(0x9E37_79B9_7F4A_7C15);
            *byte = n.to_le_bytes().last().copied().unwrap_or_default();
        }
    }
}

struct World {
    store: Store,
    engine: Engine,
    org: Org,
    /// By a session, who may approve.
    person: Actor,
    _folder: tempfile::TempDir,
}

async fn world() -> World {
    let folder = tempfile::tempdir().unwrap();
    let (ids, entropy) = (Arc::new(Counter::default()), Arc::new(Bytes::default()));
    let store = Store::open(store::Config::new(folder.path()), entropy.clone()).await.unwrap();
    let identity = Identity::new(identity::Parts {
        store: store.clone(),
        clock: Arc::new(Now),
        ids: ids.clone(),
        entropy,
        fetch: Arc::new(identity::fetch::NoFetch),
        settings: identity::Settings::default(),
    });
    let engine = Engine::new(engine::Parts {
        store: store.clone(),
        identity: identity.clone(),
        clock: Arc::new(Now),
        ids,
        cursor_key: [7; 32],
        settings: engine::Settings::default(),
    });
    let team = TeamId::from_uuid(uuid::Uuid::from_u64_pair(7, 7));
    let record =
        Team { id: team, key: "backend".into(), name: "backend".into(), created_at: Now.now(), version: 1 };
    let acme = identity.create_organization("acme", "Acme", &[Effect::CreateTeam { record }]).await.unwrap();
    let ada = NewMember {
        email: "ada@acme.example".into(),
        display_name: "Ada".into(),
        roles: vec![Role::OrganizationAdmin],
        direct_permissions: vec![Permission::TeamsRead],
        password: Some(PASSWORD.into()),
        ..NewMember::default()
    };
    identity.add_member(acme.id, ada).await.unwrap();
    let session = identity.sign_in("ada@acme.example", PASSWORD, identity::Browser::default()).await.unwrap();
    let person = identity.session(&session.cookie).await.unwrap().unwrap().actor.unwrap();
    let org = store.org(acme.id).await.unwrap();
    World { store, engine, org, person, _folder: folder }
}

/// Nanoseconds of one run of `work`.
fn each(length: Duration, mut work: impl FnMut()) -> f64 {
    let (start, mut runs) = (Instant::now(), 0_u64);
    while start.elapsed() < length {
        for _ in 0..64 {
            work();
        }
        runs += 64;
    }
    start.elapsed().as_nanos() as f64 / runs as f64
}

/// Cedar's own decision, with everything it needs made beforehand.
fn cedar(person: &Actor, length: Duration) -> f64 {
    let (schema, _) = Schema::from_cedarschema_str(&SCHEMA).unwrap();
    let policies = PolicySet::from_str(DEFAULT).unwrap();
    let uid = |text: String| text.parse::<cedar_policy::EntityUid>().unwrap();
    let (user, org) = (person.user_id, person.organization.id);
    let entities = serde_json::json!([
        { "uid": { "type": "LoopIQ::Person", "id": user.to_string() }, "parents": [],
          "attrs": { "organization": { "__entity": { "type": "LoopIQ::Organization", "id": org.to_string() } },
                     "email": "ada@acme.example", "roles": ["organization_admin"], "teamRoles": [] } },
        { "uid": { "type": "LoopIQ::Organization", "id": org.to_string() }, "parents": [],
          "attrs": { "slug": "acme", "mcpEnabled": true, "aiEnabled": false } },
    ]);
    let entities = Entities::from_json_value(entities, Some(&schema)).unwrap();
    let context = serde_json::json!({
        "surface": "mcp", "mcp": true, "credential": "token", "held": true, "mcpAccess": true, "creates": 0,
        "updates": 0, "recordTypes": [],
    });
    let request = Request::new(
        uid(format!("LoopIQ::Person::\"{user}\"")),
        uid("LoopIQ::Action::\"loopiq_create_work_item\"".into()),
        uid(format!("LoopIQ::Organization::\"{org}\"")),
        Context::from_json_value(context, None).unwrap(),
        None,
    )
    .unwrap();
    let authorizer = Authorizer::new();
    each(length, || {
        black_box(authorizer.is_authorized(&request, &policies, &entities));
    })
}

/// One fresh decision by our policies, entities made beforehand.
fn decision(person: &Actor, length: Duration) -> f64 {
    let policies = Policies::compile(0, DEFAULT).ok().unwrap();
    let subject = Subject { person: &person.membership, organization: &person.organization, team: None };
    let scene = Scene::of(subject).unwrap();
    let question = Question {
        action: "loopiq_create_work_item",
        surface: "mcp",
        credential: "token",
        agent: None,
        held: true,
        mcp_access: true,
        change: Change::default(),
    };
    each(length, || {
        black_box(policies.allows(&scene, &question).unwrap());
    })
}

/// What every call pays: through the gate, and whether the tool is one of theirs.
async fn gate(world: &World, length: Duration) -> f64 {
    let card = &tools::find("loopiq_create_work_item").unwrap().card;
    let (start, mut runs) = (Instant::now(), 0_u64);
    while start.elapsed() < length {
        for _ in 0..64 {
            let admitted = world.engine.admit(world.person.clone(), Surface::Mcp).await.unwrap();
            assert!(black_box(admitted.permits(card)));
        }
        runs += 64;
    }
    start.elapsed().as_nanos() as f64 / runs as f64
}

/// Lets producers run; how often per second they got through.
async fn race<W, F>(length: Duration, work: W) -> f64
where
    W: Fn(u64) -> F + Send + Sync + 'static,
    F: Future<Output = ()> + Send,
{
    let (running, numbers) = (Arc::new(AtomicBool::new(true)), Arc::new(AtomicU64::new(1 << 20)));
    let (done, work) = (Arc::new(AtomicU64::new(0)), Arc::new(work));
    let mut tasks = JoinSet::new();
    for _ in 0..PRODUCERS {
        let (running, numbers) = (Arc::clone(&running), Arc::clone(&numbers));
        let (done, work) = (Arc::clone(&done), Arc::clone(&work));
        tasks.spawn(async move {
            while running.load(Ordering::Relaxed) {
                work(numbers.fetch_add(8, Ordering::Relaxed)).await;
                done.fetch_add(1, Ordering::Relaxed);
            }
        });
    }
    let start = Instant::now();
    tokio::time::sleep(length).await;
    running.store(false, Ordering::Relaxed);
    let rate = done.load(Ordering::Relaxed) as f64 / start.elapsed().as_secs_f64();
    while let Some(task) = tasks.join_next().await {
        task.unwrap();
    }
    rate
}

/// What is needed of the answer to a proposal; reading all of it would count as a part of the flow.
#[derive(Deserialize)]
struct Proposed {
    action: Proposal,
}

#[derive(Deserialize)]
struct Proposal {
    id: ActionId,
}

/// One proposal, approved by its requester in their session, executed.
async fn flow(engine: &Engine, actor: &Admitted, n: u64) -> ActionId {
    let ids = RequestIds { request_id: format!("req_{n}"), trace_id: format!("{n:032}") };
    let caller = Caller { actor, channel: Channel::Api, ids: &ids };
    let arguments = serde_json::json!({
        "type": "story", "title": format!("Story {n}"), "teamId": "backend", "reason": "a measurement",
        "idempotencyKey": format!("measured-{n}"),
    });
    let answer =
        engine.call(caller, "loopiq_create_work_item", &to_raw_value(&arguments).unwrap()).await.unwrap();
    assert!(!answer.is_error, "{}", answer.text);
    let Proposed { action: Proposal { id: action } } = serde_json::from_str(&answer.json).unwrap();
    let done = engine.decide(caller, action, &Decision::Approve { signed: None }).await.unwrap();
    assert_eq!(done.status.as_str(), "executed");
    action
}

async fn flows(length: Duration) -> f64 {
    let world = world().await;
    let actor = world.engine.admit(world.person.clone(), Surface::Api).await.unwrap();
    let engine = world.engine.clone();
    let rate = race(length, move |n| {
        let (engine, actor) = (engine.clone(), actor.clone());
        async move {
            flow(&engine, &actor, n).await;
        }
    })
    .await;
    world.store.close().await;
    rate
}

/// What the store was given in one flow.
#[derive(Clone)]
struct Recorded {
    pending: Action,
    executed: Action,
    /// Proposed, approved, executed.
    drafts: Vec<AuditDraft>,
    approver: VersionRead,
}

fn draft_of(record: AuditRecord) -> AuditDraft {
    let entry = record.entry;
    AuditDraft {
        at: entry.at,
        kind: entry.kind,
        actor: entry.actor,
        channel: entry.channel,
        tool: entry.tool,
        action_id: entry.action_id,
        approval_id: entry.approval_id,
        action_digest: entry.action_digest,
        approval: entry.approval,
        assertion: entry.assertion,
        references: entry.references,
        created: entry.created,
        updated: entry.updated,
        code: entry.code,
        returned: entry.returned,
        request_id: entry.request_id,
        trace_id: entry.trace_id,
        body: record.body.unwrap(),
    }
}

impl Recorded {
    async fn of(world: &World) -> Recorded {
        let actor = world.engine.admit(world.person.clone(), Surface::Api).await.unwrap();
        let id = flow(&world.engine, &actor, 1).await;
        let executed = world.org.reader().action(id).await.unwrap().unwrap().action;
        let filter = AuditFilter { action: Some(id), ..AuditFilter::default() };
        let records = world.org.reader().audit(filter, Page { limit: 10, after: None }).await.unwrap();
        let drafts: Vec<_> = records.items.into_iter().rev().map(draft_of).collect();
        assert_eq!(drafts.len(), 3);
        let mut pending = executed.clone();
        pending.state = ActionState::PendingApproval;
        pending.approvals.clear();
        (pending.approved_at, pending.execution_expires_at, pending.finished_at) = (None, None, None);
        pending.version = 1;
        let membership = &world.person.membership;
        let approver = VersionRead::of(RecordType::Membership, membership.user_id, membership.version);
        Recorded { pending, executed, drafts, approver }
    }

    /// The same flow with other ids.
    fn again(&self, n: u64) -> Recorded {
        let mut again = self.clone();
        let id = |of: u64| uuid::Uuid::from_u64_pair(0x0191_0000_0000_7000, 0x8000_0000_0000_0000 | (n + of));
        let (action, approval) = (ActionId::from_uuid(id(0)), ApprovalId::from_uuid(id(1)));
        let item = WorkItemId::from_uuid(id(2));
        for action_now in [&mut again.pending, &mut again.executed] {
            (action_now.id, action_now.approval_id) = (action, approval);
            action_now.idempotency_key = format!("measured-{n}");
            for effect in &mut action_now.effects {
                let Effect::CreateWorkItem { record } = effect else { panic!("a flow creates a work item") };
                record.id = item;
            }
        }
        for draft in &mut again.drafts {
            (draft.action_id, draft.approval_id) = (Some(action), Some(approval));
            draft.body.idempotency_key = Some(format!("measured-{n}"));
            for created in &mut draft.created {
                created.id = item.to_string();
            }
        }
        again
    }

    /// Both commits, with the audit records or without.
    async fn commit(self, org: &Org, audited: bool) {
        let mut drafts = self.drafts.into_iter().filter(|_| audited);
        let mut write = Write::new();
        let receipt = drafts.next().map(|draft| write.audit(draft));
        write.claim_action(&self.pending, receipt);
        org.commit(write).await.map(drop).unwrap();
        let mut write = Write::new();
        let receipt = drafts.map(|draft| write.audit(draft)).last();
        for version in self.executed.versions.iter().chain([&self.approver]) {
            write.guard(version);
        }
        for effect in &self.executed.effects {
            write.effect(effect);
        }
        write.move_action(&self.pending, &self.executed, receipt);
        org.commit(write).await.map(drop).unwrap();
    }
}

/// What the store alone makes of flows: both commits of each, with their audit records or without.
async fn stored_flows(length: Duration, audited: bool) -> f64 {
    let world = world().await;
    let (org, recorded) = (world.org.clone(), Recorded::of(&world).await);
    let rate = race(length, move |n| {
        let (org, again) = (org.clone(), recorded.again(n));
        async move { again.commit(&org, audited).await }
    })
    .await;
    world.store.close().await;
    rate
}

/// Durable commits of one record, with its audit record or without.
async fn commits(length: Duration, audited: bool) -> f64 {
    let world = world().await;
    let org = world.org.clone();
    let rate = race(length, move |n| {
        let org = org.clone();
        async move {
            let mut write = Write::new();
            write.effect(&Effect::CreateException { record: records::exception(n) });
            if audited {
                write.audit(records::draft(n));
            }
            org.commit(write).await.map(drop).unwrap();
        }
    })
    .await;
    world.store.close().await;
    rate
}

fn median(mut list: Vec<f64>) -> f64 {
    list.sort_by(f64::total_cmp);
    list.get(list.len() / 2).copied().unwrap_or_default()
}

fn main() {
    let mut arguments = std::env::args().skip(1).filter_map(|argument| argument.parse::<f64>().ok());
    let length = Duration::from_secs_f64(arguments.next().unwrap_or(3.0));
    let rounds = arguments.next().unwrap_or(5.0) as usize;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let mut found: Vec<[f64; 8]> = Vec::new();
    for round in 1..=rounds {
        let cells = runtime.block_on(async {
            let world = world().await;
            let (cedar, ours) = (cedar(&world.person, length), decision(&world.person, length));
            let gate = gate(&world, length).await;
            world.store.close().await;
            let (flows, plain) = (flows(length).await, commits(length, false).await);
            let audited = commits(length, true).await;
            let (full, bare) = (stored_flows(length, true).await, stored_flows(length, false).await);
            [cedar, ours, gate, flows, plain, audited, full, bare]
        });
        let [cedar, ours, gate, flows, plain, audited, full, bare] = cells;
        println!(
            "round {round}: cedar {cedar:.0} ns, a decision {ours:.0} ns, the gate {gate:.0} ns; flows {flows:.0}/s, \
             commits {plain:.0}/s, with audit {audited:.0}/s; the store alone: flows {full:.0}/s, without audit {bare:.0}/s"
        );
        found.push(cells);
    }
    let ratio = |of: fn(&[f64; 8]) -> f64| median(found.iter().map(of).collect());
    println!("a decision / Cedar's own                 {:.2}", ratio(|c| c[1] / c[0]));
    println!("the gate of a call / Cedar's own         {:.2}", ratio(|c| c[2] / c[0]));
    println!("flows / plain commits                    {:.3}", ratio(|c| c[3] / c[4]));
    println!("the audit's share of a complete write    {:.2}", ratio(|c| c[3] * (1.0 / c[6] - 1.0 / c[7])));
    println!("the audit's share of the smallest commit {:.2}", ratio(|c| 1.0 - c[5] / c[4]));
}
