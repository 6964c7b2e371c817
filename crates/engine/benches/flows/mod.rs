//! Governed writes from beginning to end by many producers, and what the store alone makes of them, with their audit records and
//! without.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime};

use domain::action::{Action, ActionState, Channel};
use domain::audit::AuditDraft;
use domain::effect::Effect;
use domain::id::{ActionId, ApprovalId, Ids, TeamId, WorkItemId};
use domain::org::Team;
use domain::permission::{Permission, Role};
use domain::record::{RecordType, VersionRead};
use domain::time::{Clock, Timestamp};
use engine::{Admitted, Caller, Decision, Engine, RequestIds, Surface};
use identity::{Actor, Identity, NewMember};
use serde::Deserialize;
use serde_json::value::to_raw_value;
use store::{AuditFilter, AuditRecord, Entropy, Org, Page, Store, Write};
use tokio::task::JoinSet;

/// Producers that work at the same time.
pub const PRODUCERS: usize = 64;
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

pub struct World {
    pub store: Store,
    pub engine: Engine,
    pub org: Org,
    /// By a session, who may approve.
    pub person: Actor,
    _folder: tempfile::TempDir,
}

pub async fn world() -> World {
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

/// What producers got through.
#[derive(Clone, Copy)]
pub struct Pace {
    pub per_second: f64,
    /// Microseconds of processor time for each.
    pub processor: f64,
}

/// Seconds of processor time that a process (its number, or `self`) has used since it began.
pub fn used(process: &str) -> f64 {
    const TICKS_PER_SECOND: f64 = 100.0;
    let text = std::fs::read_to_string(format!("/proc/{process}/stat")).unwrap();
    // After the name, which stands in brackets, the 12th and 13th fields are its own time and that of the system for it.
    let (_, fields) = text.rsplit_once(')').unwrap();
    let ticks = fields.split_whitespace().skip(11).take(2).map(|field| field.parse::<f64>().unwrap());
    ticks.sum::<f64>() / TICKS_PER_SECOND
}

/// Lets producers run; how often per second they got through.
pub async fn race<W, F>(length: Duration, producers: usize, work: W) -> Pace
where
    W: Fn(u64) -> F + Send + Sync + 'static,
    F: Future<Output = ()> + Send,
{
    let (running, numbers) = (Arc::new(AtomicBool::new(true)), Arc::new(AtomicU64::new(1 << 20)));
    let (done, work) = (Arc::new(AtomicU64::new(0)), Arc::new(work));
    let mut tasks = JoinSet::new();
    for _ in 0..producers {
        let (running, numbers) = (Arc::clone(&running), Arc::clone(&numbers));
        let (done, work) = (Arc::clone(&done), Arc::clone(&work));
        tasks.spawn(async move {
            while running.load(Ordering::Relaxed) {
                work(numbers.fetch_add(8, Ordering::Relaxed)).await;
                done.fetch_add(1, Ordering::Relaxed);
            }
        });
    }
    let (start, used_before) = (Instant::now(), used("self"));
    tokio::time::sleep(length).await;
    running.store(false, Ordering::Relaxed);
    let count = done.load(Ordering::Relaxed) as f64;
    let per_second = count / start.elapsed().as_secs_f64();
    let processor = (used("self") - used_before) * 1e6 / count;
    while let Some(task) = tasks.join_next().await {
        task.unwrap();
    }
    Pace { per_second, processor }
}

impl fmt::Display for Pace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.0}/s ({:.0} µs)", self.per_second, self.processor)
    }
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

pub async fn flows(length: Duration) -> Pace {
    let world = world().await;
    let actor = world.engine.admit(world.person.clone(), Surface::Api).await.unwrap();
    let engine = world.engine.clone();
    let rate = race(length, PRODUCERS, move |n| {
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
pub async fn stored_flows(length: Duration, producers: usize, audited: bool) -> Pace {
    let world = world().await;
    let (org, recorded) = (world.org.clone(), Recorded::of(&world).await);
    let rate = race(length, producers, move |n| {
        let (org, again) = (org.clone(), recorded.again(n));
        async move { again.commit(&org, audited).await }
    })
    .await;
    world.store.close().await;
    rate
}
