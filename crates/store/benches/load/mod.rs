//! The writes that the benchmarks of both engines commit, and the producers that race to commit them.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use domain::action::ActionState;
use domain::effect::Effect;
use domain::id::ReleaseId;
use domain::record::{RecordType, VersionRead};
use store::{Entropy, Org, Store, Write};
use testkit::records;
use tokio::task::JoinSet;

/// Salts that are all the same: drawing real ones costs the same everywhere.
pub struct Sevens;
impl Entropy for Sevens {
    fn fill(&self, bytes: &mut [u8]) {
        bytes.fill(7);
    }
}

/// What one write stores.
#[derive(Clone, Copy)]
pub enum Load {
    /// One record and its audit record.
    Small,
    /// What executing a remediation work package commits: two version guards, a story, two tasks, the package, the
    /// action's next state and the audit record.
    Package,
}

/// Lets producers run for `length` and counts what they got acknowledged.
pub struct Race {
    pub running: Arc<AtomicBool>,
    /// Ids grow with time, as those of version 7 do, whoever makes them.
    pub ids: Arc<AtomicU64>,
    pub done: Arc<AtomicU64>,
}

impl Race {
    pub fn new() -> Race {
        Race {
            running: Arc::new(AtomicBool::new(true)),
            ids: Arc::new(AtomicU64::new(1 << 20)),
            done: Arc::default(),
        }
    }
    pub async fn finish(self, mut tasks: JoinSet<()>, length: Duration) -> f64 {
        let start = Instant::now();
        tokio::time::sleep(length).await;
        self.running.store(false, Ordering::Relaxed);
        let (done, elapsed) = (self.done.load(Ordering::Relaxed), start.elapsed());
        while let Some(task) = tasks.join_next().await {
            task.expect("no producer may fail");
        }
        done as f64 / elapsed.as_secs_f64()
    }
}

/// Commits per second of a store that is empty yet.
pub async fn ours(store: Store, load: Load, organizations: u64, producers: u64, length: Duration) -> f64 {
    let mut orgs = Vec::new();
    for n in 0..organizations {
        let org = store.create_organization(&records::organization(n)).await.unwrap();
        let mut write = Write::new();
        write.effect(&Effect::CreateRelease { record: records::release(1) });
        write.effect(&Effect::CreateMembership { record: records::membership(org.id(), 1) });
        for producer in 0..producers {
            write.claim_action(&records::action(org.id(), producer), None);
        }
        org.commit(write).await.unwrap();
        orgs.push(org);
    }
    let orgs = Arc::new(orgs);
    let race = Race::new();
    let mut tasks = JoinSet::new();
    for producer in 0..producers {
        let (orgs, ids) = (Arc::clone(&orgs), Arc::clone(&race.ids));
        let (running, done) = (Arc::clone(&race.running), Arc::clone(&race.done));
        tasks.spawn(async move {
            let mut versions = vec![1; orgs.len()];
            let mut n = 0_u64;
            while running.load(Ordering::Relaxed) {
                // Every producer goes round all organizations, each from another start.
                let index = ((producer * 7 + n) % orgs.len() as u64) as usize;
                let org = orgs.get(index).unwrap();
                let version = versions.get_mut(index).unwrap();
                *version += 1;
                let unique = ids.fetch_add(8, Ordering::Relaxed);
                let write = match load {
                    Load::Small => small(unique),
                    Load::Package => package(org, producer, unique, *version),
                };
                org.commit(write).await.unwrap();
                done.fetch_add(1, Ordering::Relaxed);
                n += 1;
            }
        });
    }
    let rate = race.finish(tasks, length).await;
    store.close().await;
    rate
}

fn small(n: u64) -> Write {
    let mut write = Write::new();
    let record = records::exception(n);
    let mut draft = records::draft(n);
    draft.created = vec![records::named(RecordType::Exception, record.id)];
    write.effect(&Effect::CreateException { record });
    write.audit(draft);
    write
}

fn package(org: &Org, producer: u64, n: u64, version: i64) -> Write {
    let mut write = Write::new();
    let release = ReleaseId::from_uuid(records::uuid(1)).to_string();
    let person = records::membership(org.id(), 1).user_id.to_string();
    write.guard(&VersionRead { record_type: RecordType::Release, id: release.clone(), version: 1 });
    write.guard(&VersionRead { record_type: RecordType::Membership, id: person, version: 1 });
    let story = records::work_item(n, None);
    let tasks = [records::work_item(n + 1, Some(story.id)), records::work_item(n + 2, Some(story.id))];
    let package = records::package(n, &story, &tasks);
    let mut draft = records::draft(n);
    draft.references = vec![records::named(RecordType::Release, release)];
    draft.created = vec![
        records::named(RecordType::WorkItem, story.id),
        records::named(RecordType::WorkItem, n + 1),
        records::named(RecordType::WorkItem, n + 2),
        records::named(RecordType::RemediationWorkPackage, package.id),
    ];
    write.effect(&Effect::CreateWorkItem { record: story });
    for record in tasks {
        write.effect(&Effect::CreateWorkItem { record });
    }
    write.effect(&Effect::CreateRemediationWorkPackage { record: package });
    let before = records::action(org.id(), producer);
    let mut next = before.clone();
    next.state = ActionState::Executed;
    next.version = version;
    draft.action_id = Some(next.id);
    let receipt = write.audit(draft);
    write.move_action(&before, &next, Some(receipt));
    write
}

pub fn median(mut rates: Vec<f64>) -> f64 {
    rates.sort_by(f64::total_cmp);
    rates.get(rates.len() / 2).copied().unwrap_or_default()
}
