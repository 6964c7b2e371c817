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
//! Both times and processor times are told. Times are taken as the reciprocal of what all producers get through in a second, so
//! that waiting for the disk counts; processor times are what the system says this process has used. The time by which records hold
//! up commits is more than that by which they hold up flows wherever a flow waits for processors and not for commits.
//!
//! `cargo bench -p engine --bench governance [-- <seconds per cell> <rounds>]`
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "a measuring program: it fails by panicking, measures time and prints what it found"
)]

mod flows;

use std::fmt;
use std::hint::black_box;
use std::str::FromStr as _;
use std::time::{Duration, Instant};

use cedar_policy::{Authorizer, Context, Entities, PolicySet, Request, Schema};
use domain::effect::Effect;
use engine::policy::{Change, DEFAULT, Policies, Question, SCHEMA, Scene, Subject};
use engine::{Surface, tools};
use flows::{PRODUCERS, Pace, World, flows, race, stored_flows, world};
use identity::Actor;
use store::Write;
use testkit::records;

/// As in the binary.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

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

/// Durable commits of one record, with its audit record or without.
async fn commits(length: Duration, audited: bool) -> Pace {
    let world = world().await;
    let org = world.org.clone();
    let rate = race(length, PRODUCERS, move |n| {
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

/// What one round found.
struct Cells {
    /// Nanoseconds of a decision by Cedar alone, by our policies, and of the gate.
    cedar: f64,
    ours: f64,
    gate: f64,
    flows: Pace,
    /// Commits of one record, without its audit record and with it.
    plain: Pace,
    audited: Pace,
    /// Flows of the store alone, with their audit records and without.
    full: Pace,
    bare: Pace,
}

impl Cells {
    fn share_of_time(&self) -> f64 {
        self.flows.per_second * (1.0 / self.full.per_second - 1.0 / self.bare.per_second)
    }

    fn share_of_processor(&self) -> f64 {
        (self.full.processor - self.bare.processor) / self.flows.processor
    }
}

impl fmt::Display for Cells {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Cells { cedar, ours, gate, flows, plain, audited, full, bare } = self;
        write!(f, "cedar {cedar:.0} ns, a decision {ours:.0} ns, the gate {gate:.0} ns; flows {flows}, ")?;
        write!(
            f,
            "commits {plain}, with audit {audited}; the store alone: flows {full}, without audit {bare}"
        )
    }
}

fn main() {
    let mut arguments = std::env::args().skip(1).filter_map(|argument| argument.parse::<f64>().ok());
    let length = Duration::from_secs_f64(arguments.next().unwrap_or(3.0));
    let rounds = arguments.next().unwrap_or(5.0) as usize;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let mut found = Vec::new();
    for round in 1..=rounds {
        let cells = runtime.block_on(async {
            let world = world().await;
            let (cedar, ours) = (cedar(&world.person, length), decision(&world.person, length));
            let gate = gate(&world, length).await;
            world.store.close().await;
            let (flows, plain) = (flows(length).await, commits(length, false).await);
            let audited = commits(length, true).await;
            let (full, bare) =
                (stored_flows(length, PRODUCERS, true).await, stored_flows(length, PRODUCERS, false).await);
            Cells { cedar, ours, gate, flows, plain, audited, full, bare }
        });
        println!("round {round}: {cells}");
        found.push(cells);
    }
    let ratio = |of: fn(&Cells) -> f64| median(found.iter().map(of).collect());
    println!("a decision / Cedar's own                 {:.2}", ratio(|c| c.ours / c.cedar));
    println!("the gate of a call / Cedar's own         {:.2}", ratio(|c| c.gate / c.cedar));
    println!(
        "flows / plain commits                    {:.3}",
        ratio(|c| c.flows.per_second / c.plain.per_second)
    );
    println!("the audit's share of a complete write");
    println!("  of its time                            {:.2}", ratio(Cells::share_of_time));
    println!("  of its processor time                  {:.2}", ratio(Cells::share_of_processor));
    println!(
        "the audit's share of the smallest commit {:.2}",
        ratio(|c| 1.0 - c.audited.per_second / c.plain.per_second)
    );
}
