//! What only the embedded engine has: a folder that one process serves, backups of it, few open files.

use std::sync::Arc;

use domain::audit::{AuditKind, AuditReference};
use domain::record::RecordType;
use store::{AuditFilter, Config, Fault, Page, Store, Write};
use testkit::records::{draft, organization, team};

use crate::place::{Sevens, creates, one_org};

async fn open(folder: &std::path::Path) -> Store {
    Store::open(Config::new(folder), Arc::new(Sevens)).await.unwrap()
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
    assert!(
        matches!(store.backup(copy.path()).await, Err(Fault::NotEmpty { .. })),
        "a used folder is refused"
    );

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

/// Takes a migrated database back to the form of the log before it was kept by its sequence alone, and to the indexes of then.
const AS_BEFORE: &str = "
    alter table audit_entry rename to e;
    alter table audit_body rename to b;
    alter table audit_subject rename to s;
    drop index audit_entry_action;
    drop index audit_entry_decision;
    create table audit_entry (
        organization_id text not null, sequence integer not null, at integer not null, kind text not null,
        user_id text, action_id text, leaf_hash text not null, entry text not null,
        primary key (organization_id, sequence)
    );
    create index audit_entry_action on audit_entry (organization_id, action_id, sequence);
    create index audit_entry_decision on audit_entry (organization_id, at)
        where kind in ('approved', 'rejected', 'broken_glass', 'expired');
    create table audit_body (
        organization_id text not null, sequence integer not null, salt blob not null, body text not null,
        primary key (organization_id, sequence)
    );
    create table audit_subject (
        organization_id text not null, record_id text not null, sequence integer not null,
        primary key (organization_id, record_id, sequence)
    ) without rowid;
    insert into audit_entry select * from e;
    insert into audit_body select * from b;
    insert into audit_subject select * from s;
    drop table e;
    drop table b;
    drop table s;
    drop table model_use;
    drop index action_key;
    drop index action_approval;
    drop index action_due;
    create unique index action_key on action (organization_id, requester_id, tool, idempotency_key);
    create unique index action_approval on action (organization_id, approval_id);
    create index action_due on action (organization_id, state, due_at);
    create index work_item_release on work_item (organization_id, release_id, id);
    create index work_item_parent on work_item (organization_id, parent_id, id);
    delete from schema_migration where number >= 11;
";

#[tokio::test]
async fn a_log_of_the_form_before_is_kept_whole_by_the_migration() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path()).await;
    let org = one_org(&store, 1).await;
    let named = AuditReference { record_type: RecordType::Team, id: "team_named".into() };
    for n in 0..30 {
        let mut record = draft(n);
        record.references = vec![named.clone()];
        let mut write = Write::new();
        write.audit(record);
        org.commit(write).await.unwrap();
    }
    let mut erased = draft(30);
    erased.kind = AuditKind::Erased;
    erased.references = vec![AuditReference { record_type: RecordType::AuditRecord, id: "4".into() }];
    let mut write = Write::new();
    write.audit(erased);
    write.erase_body(4);
    org.commit(write).await.unwrap();
    let before = org.reader().log_records(0, 100).await.unwrap();
    let root = org.reader().verify_log(&mut |_| {}).await.unwrap().root;
    store.close().await;
    drop((org, store));

    testkit::sqlite::run(folder.path(), &organization(1).id.to_string(), AS_BEFORE);
    let store = open(folder.path()).await;
    let org = store.org(organization(1).id).await.unwrap();
    assert_eq!(org.reader().log_records(0, 100).await.unwrap(), before, "no record is lost, none comes back");
    let report = org.reader().verify_log(&mut |_| {}).await.unwrap();
    assert_eq!((report.size, report.root, report.problems), (31, root, Vec::new()));
    let about = AuditFilter { subject: Some("team_named"), ..AuditFilter::default() };
    let found = org.reader().audit(about, Page { limit: 20, after: None }).await.unwrap();
    assert_eq!((found.items.len(), found.total, found.next.as_deref()), (20, 30, Some("10")));
    let mut write = creates(10);
    write.audit(draft(31));
    assert_eq!(org.commit(write).await.unwrap().receipts.first().unwrap().sequence, 31, "it goes on");
}

/// What was written is in the database itself before anybody closes it, though no writer has stopped for that: its own
/// limit lies beyond.
#[tokio::test]
async fn a_long_write_ahead_log_is_folded_while_writing_goes_on() {
    const WRITES_MAX: i64 = 600;
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path()).await;
    let org = one_org(&store, 1).await;
    let file = folder.path().join("organizations").join(organization(1).id.to_string()).join("records.db");
    let folded = || std::fs::metadata(&file).unwrap().len() > 2_000_000;
    let mut written = 0;
    while !folded() {
        assert!(written < WRITES_MAX, "nobody folds the log");
        let mut record = draft(u64::try_from(written).unwrap());
        record.body.payload = Some("x".repeat(100_000));
        let mut write = Write::new();
        write.audit(record);
        org.commit(write).await.unwrap();
        written += 1;
    }
    let report = org.reader().verify_log(&mut |_| {}).await.unwrap();
    assert_eq!((report.size, report.problems), (written, Vec::new()));
    store.close().await;
    drop((org, store));
    let store = open(folder.path()).await;
    let org = store.org(organization(1).id).await.unwrap();
    assert_eq!(org.reader().verify_log(&mut |_| {}).await.unwrap().size, written);
}

#[tokio::test]
async fn leaves_lie_in_little_room_and_bytes_that_are_none_are_found() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path()).await;
    let org = one_org(&store, 1).await;
    for n in 0..3 {
        let mut write = Write::new();
        let mut record = draft(n);
        record.trace_id = format!("{n:032x}");
        write.audit(record);
        org.commit(write).await.unwrap();
    }
    let leaves = org.reader().log_records(0, 10).await.unwrap();
    let id = org.id().to_string();
    let lengths = "select length(entry) from audit_entry where typeof(entry) = 'blob' order by sequence";
    let lengths = testkit::sqlite::numbers(folder.path(), &id, lengths);
    assert_eq!(lengths.len(), leaves.len());
    for (leaf, length) in leaves.iter().zip(lengths) {
        assert!(3 * length < 2 * leaf.entry.len() as i64, "{length} bytes for {}", leaf.entry);
    }

    testkit::sqlite::run(folder.path(), &id, "update audit_entry set entry = x'0107' where sequence = 1");
    let problems = org.reader().verify_log(&mut |_| {}).await.unwrap().problems;
    assert_eq!(problems, ["record 1 does not have its leaf hash", "record 1 cannot be read"]);
}
