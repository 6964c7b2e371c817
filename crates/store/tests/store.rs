//! The store through its public face: guards, keys, the log inside the commit, isolation, backup, bounds.
#![expect(clippy::unwrap_used, reason = "tests")]

use std::sync::Arc;

use domain::effect::Effect;
use domain::record::{RecordType, VersionRead};
use store::{CommitError, Config, Conflict, Entropy, Fault, Org, Store, Write};
use testkit::records::{draft, organization, team};

/// Salts that are all the same: the log is checked, not its secrecy.
struct Sevens;
impl Entropy for Sevens {
    fn fill(&self, bytes: &mut [u8]) {
        bytes.fill(7);
    }
}

async fn open(folder: &std::path::Path) -> Store {
    Store::open(Config::new(folder), Arc::new(Sevens)).await.unwrap()
}

async fn one_org(store: &Store, n: u64) -> Org {
    store.create_organization(&organization(n)).await.unwrap()
}

fn creates(n: u64) -> Write {
    let mut write = Write::new();
    write.effect(&Effect::CreateTeam { record: team(n) });
    write
}

#[tokio::test]
async fn a_missed_guard_writes_nothing_and_uses_up_no_sequence() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path()).await;
    let org = one_org(&store, 1).await;
    org.commit(creates(10)).await.unwrap();

    let mut write = creates(11);
    write.audit(draft(1));
    let wrong = VersionRead { record_type: RecordType::Team, id: team(10).id.to_string(), version: 2 };
    write.guard(&wrong);
    match org.commit(write).await {
        Err(CommitError::Conflict(Conflict::Moved { record_type, id })) => {
            assert_eq!((record_type, id), (wrong.record_type, wrong.id));
        }
        other => panic!("expected a conflict, got {other:?}"),
    }
    assert_eq!(org.reader().teams(None).await.unwrap().len(), 1);
    assert_eq!(org.reader().audit_size().await.unwrap(), 0);

    let mut write = creates(11);
    write.audit(draft(2));
    write.guard(&VersionRead { version: 1, record_type: RecordType::Team, id: team(10).id.to_string() });
    let done = org.commit(write).await.unwrap();
    assert_eq!(done.receipts.first().unwrap().sequence, 0);
    assert_eq!(org.reader().teams(None).await.unwrap().len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_log_is_contiguous_under_concurrent_commits_of_which_some_fail() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path()).await;
    let org = one_org(&store, 1).await;
    let mut tasks = tokio::task::JoinSet::new();
    for n in 0..64_u64 {
        let org = org.clone();
        tasks.spawn(async move {
            // Every fourth repeats a team of another, and fails.
            let mut write = creates(100 + n - n % 4 % 2);
            write.audit(draft(n));
            org.commit(write).await.is_ok()
        });
    }
    let mut succeeded = 0;
    while let Some(done) = tasks.join_next().await {
        succeeded += i64::from(done.unwrap());
    }
    assert!(succeeded > 0 && succeeded < 64, "{succeeded} of 64");
    let report = org.reader().verify_log(&mut |_| {}).await.unwrap();
    assert_eq!(report.problems, Vec::<String>::new());
    assert_eq!(report.size, succeeded);
    assert_eq!(org.reader().teams(None).await.unwrap().len() as i64, succeeded);
}

#[tokio::test]
async fn organizations_do_not_see_each_other() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path()).await;
    let (one, two) = (one_org(&store, 1).await, one_org(&store, 2).await);
    one.commit(creates(10)).await.unwrap();
    assert!(one.reader().team(team(10).id).await.unwrap().is_some());
    assert!(two.reader().team(team(10).id).await.unwrap().is_none());
    assert!(two.reader().teams(None).await.unwrap().is_empty());
    let digest = one.blobs().put(b"evidence").await.unwrap();
    assert_eq!(one.blobs().get(&digest).await.unwrap().as_deref(), Some(&b"evidence"[..]));
    assert_eq!(two.blobs().get(&digest).await.unwrap(), None);
    let mut write = creates(10);
    write.guard(&VersionRead { version: 1, record_type: RecordType::Team, id: team(10).id.to_string() });
    // The guard looks before the record is there: another organization's record is no record.
    let mut guard_only = Write::new();
    guard_only.guard(&VersionRead { version: 1, record_type: RecordType::Team, id: team(10).id.to_string() });
    assert!(matches!(two.commit(guard_only).await, Err(CommitError::Conflict(_))));
}

#[tokio::test]
async fn a_folder_is_served_by_one_process_and_reopens_with_everything() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path()).await;
    one_org(&store, 1).await.commit(creates(10)).await.unwrap();
    let second = Store::open(Config::new(folder.path()), Arc::new(Sevens)).await;
    assert!(matches!(second, Err(Fault::DataFolderInUse { .. })));
    store.close().await;
    drop(store);
    let store = open(folder.path()).await;
    let org = store.org(organization(1).id).await.unwrap();
    assert_eq!(org.reader().teams(None).await.unwrap(), vec![team(10)]);
    assert!(matches!(store.org(organization(9).id).await, Err(Fault::NoOrganization)));
    let again = store.create_organization(&organization(1)).await;
    assert!(matches!(again, Err(Fault::Duplicate { what: "slug" })));
}

#[tokio::test]
async fn a_backup_restores_to_the_same_and_an_altered_one_is_refused() {
    let (folder, copy, target) =
        (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let store = open(folder.path()).await;
    let org = one_org(&store, 1).await;
    let mut write = creates(10);
    write.audit(draft(1));
    org.commit(write).await.unwrap();
    let digest = org.blobs().put(b"evidence").await.unwrap();
    let before = org.reader().verify_log(&mut |_| {}).await.unwrap();
    let report = store.backup(copy.path()).await.unwrap();
    assert_eq!((report.organizations, report.files), (1, 3));
    assert!(matches!(store.backup(copy.path()).await, Err(Fault::Backup(_))), "a used folder is refused");

    store::restore(copy.path(), &target.path().join("data")).unwrap();
    let restored = open(&target.path().join("data")).await;
    let org = restored.org(organization(1).id).await.unwrap();
    assert_eq!(org.reader().teams(None).await.unwrap(), vec![team(10)]);
    assert_eq!(org.blobs().get(&digest).await.unwrap().as_deref(), Some(&b"evidence"[..]));
    assert_eq!(org.reader().verify_log(&mut |_| {}).await.unwrap().root, before.root);

    let altered = copy.path().join("directory.db");
    let mut bytes = std::fs::read(&altered).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    std::fs::write(&altered, bytes).unwrap();
    let refused = store::restore(copy.path(), &target.path().join("other"));
    assert!(matches!(refused, Err(Fault::Backup(_))), "{refused:?}");
    assert!(!target.path().join("other/directory.db").exists(), "nothing was put in place");
}

#[tokio::test]
async fn many_organizations_keep_few_files_open() {
    const ORGANIZATIONS: u64 = 60;
    let folder = tempfile::tempdir().unwrap();
    let mut config = Config::new(folder.path());
    config.open_readers_max = 8;
    config.open_writers_max = 8;
    let store = Store::open(config, Arc::new(Sevens)).await.unwrap();
    for n in 0..ORGANIZATIONS {
        let org = one_org(&store, n).await;
        org.commit(creates(n + 1_000)).await.unwrap();
        assert_eq!(org.reader().teams(None).await.unwrap().len(), 1);
    }
    let open = std::fs::read_dir("/proc/self/fd").unwrap().count();
    // Each open database has its file, its log and its index.
    assert!(open < 150, "{open} files are open");
}
