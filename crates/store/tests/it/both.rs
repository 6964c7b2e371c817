//! What holds on both engines: guards, keys, the log inside the commit, isolation.

use std::sync::Arc;

use domain::digest::Digest;
use domain::directory::DirectoryChange;
use domain::effect::Effect;
use domain::id::{TokenId, UserId};
use domain::org::{Organization, User, UserKind, UserStatus};
use domain::record::{RecordType, VersionRead};
use domain::time::Timestamp;
use domain::token::TokenRecord;

use store::{CommitError, Config, Conflict, Fault, Store, Write};
use testkit::records::{action, draft, organization, team, uuid};

use crate::place::{Place, Sevens, creates, one_org};

/// Each of the stories on each of the engines.
macro_rules! on_both {
    ($($story:ident)*) => {
        mod embedded {
            $(#[tokio::test(flavor = "multi_thread")]
            async fn $story() {
                super::$story(crate::place::Place::embedded()).await;
            })*
        }
        mod postgres {
            $(#[tokio::test(flavor = "multi_thread")]
            async fn $story() {
                super::$story(crate::place::Place::postgres().await).await;
            })*
        }
    };
}
pub(crate) use on_both;

on_both! {
    a_missed_guard_writes_nothing_and_uses_up_no_sequence
    the_log_is_contiguous_under_concurrent_commits_of_which_some_fail
    organizations_do_not_see_each_other
    a_key_is_claimed_once
    a_lease_is_held_by_one_and_taken_over_when_it_has_run_out
    a_secret_is_the_first_one_offered
    everything_is_there_after_a_restart
    what_is_written_down_for_the_directory_is_carried_over_once_and_in_order
}

async fn a_missed_guard_writes_nothing_and_uses_up_no_sequence(place: Place) {
    let store = place.open().await;
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

async fn the_log_is_contiguous_under_concurrent_commits_of_which_some_fail(place: Place) {
    let store = place.open().await;
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

async fn organizations_do_not_see_each_other(place: Place) {
    let store = place.open().await;
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

async fn a_key_is_claimed_once(place: Place) {
    let store = place.open().await;
    let org = one_org(&store, 1).await;
    let mut tasks = tokio::task::JoinSet::new();
    for n in 0..16 {
        let org = org.clone();
        tasks.spawn(async move {
            let mut wanted = action(org.id(), n);
            wanted.idempotency_key = "the same".into();
            let mut write = Write::new();
            let receipt = write.audit(draft(n));
            write.claim_action(&wanted, Some(receipt));
            org.commit(write).await
        });
    }
    let mut claimed = 0;
    while let Some(done) = tasks.join_next().await {
        match done.unwrap() {
            Ok(committed) => {
                claimed += 1;
                assert_eq!(committed.receipts.first().unwrap().sequence, 0);
            }
            Err(error) => {
                assert!(matches!(error, CommitError::Conflict(Conflict::DuplicateKey)), "{error:?}");
            }
        }
    }
    assert_eq!(claimed, 1);
    let first = action(org.id(), 0);
    let stored =
        org.reader().action_by_key(first.requester_id, &first.tool, "the same").await.unwrap().unwrap();
    assert_eq!(stored.receipt.unwrap().sequence, 0);
    assert_eq!(org.reader().audit_size().await.unwrap(), 1, "refused claims leave no record");
}

async fn everything_is_there_after_a_restart(place: Place) {
    let store = place.open().await;
    one_org(&store, 1).await.commit(creates(10)).await.unwrap();
    store.close().await;
    drop(store);
    let store = place.open().await;
    let org = store.org(organization(1).id).await.unwrap();
    assert_eq!(org.reader().teams(None).await.unwrap(), vec![team(10)]);
    assert!(matches!(store.org(organization(9).id).await, Err(Fault::NoOrganization)));
    let again = store.create_organization(&organization(1)).await;
    assert!(matches!(again, Err(Fault::Duplicate { what: "slug" })));
}

async fn a_lease_is_held_by_one_and_taken_over_when_it_has_run_out(place: Place) {
    let store = place.open().await;
    let directory = store.directory();
    let take = |holder: &'static str, now, until| {
        let directory = directory.clone();
        async move { directory.take_lease("work", holder, Timestamp(now), Timestamp(until)).await.unwrap() }
    };
    assert!(take("a", 0, 100).await);
    assert!(!take("b", 50, 150).await);
    assert!(take("a", 60, 160).await, "its holder renews it");
    assert!(!take("b", 159, 259).await);
    assert!(take("b", 160, 260).await, "it has run out");
    assert!(!take("a", 161, 261).await);
    directory.end_lease("work", "a").await.unwrap();
    assert!(!take("a", 162, 262).await, "only its holder gives it back");
    directory.end_lease("work", "b").await.unwrap();
    assert!(take("a", 163, 263).await);
}

async fn a_secret_is_the_first_one_offered(place: Place) {
    let store = place.open().await;
    let directory = store.directory();
    let (one, two) = tokio::join!(directory.secret("key", [1; 32]), directory.secret("key", [2; 32]));
    let (one, two) = (one.unwrap(), two.unwrap());
    assert_eq!(one, two);
    assert_eq!(directory.secret("key", [3; 32]).await.unwrap(), one);
    assert_eq!(directory.secret("other", [3; 32]).await.unwrap(), [3; 32]);
}

/// There and back again, over both engines: the same records, bytes, people, and the same log.
#[tokio::test(flavor = "multi_thread")]
async fn an_organization_moves_between_the_engines_and_back() {
    let places = [Place::embedded(), Place::postgres().await, Place::embedded()];
    let stores = [places[0].open().await, places[1].open().await, places[2].open().await];
    let org = one_org(&stores[0], 1).await;
    for n in 0..30 {
        let mut write = creates(n + 100);
        let claimed = action(org.id(), n);
        let receipt = write.audit(draft(n));
        write.claim_action(&claimed, Some(receipt));
        org.commit(write).await.unwrap();
    }
    one_org(&stores[1], 2).await.commit(creates(7)).await.unwrap();
    let before = org.reader().verify_log(&mut |_| {}).await.unwrap();
    for (from, to) in [(0, 1), (1, 2)] {
        let report = store::transfer(&stores[from], &stores[to], org.id(), &mut |_, _| {}).await.unwrap();
        assert_eq!((report.log_size, report.log_root), (before.size, before.root));
        let again = store::transfer(&stores[from], &stores[to], org.id(), &mut |_, _| {}).await;
        assert!(matches!(again, Err(Fault::Duplicate { .. })), "{again:?}");
    }
    let (there, back) = (stores[1].org(org.id()).await.unwrap(), stores[2].org(org.id()).await.unwrap());
    for moved in [&there, &back] {
        assert_eq!(moved.reader().teams(None).await.unwrap(), org.reader().teams(None).await.unwrap());
        let requester = action(org.id(), 1).requester_id;
        let stored = moved.reader().actions_with_key(requester, "key 3").await.unwrap();
        assert_eq!(stored.first().unwrap().receipt.unwrap().sequence, 3);
        // Writing goes on where the log ends.
        let mut write = creates(500);
        write.audit(draft(500));
        let done = moved.commit(write).await.unwrap();
        assert_eq!(done.receipts.first().unwrap().sequence, 30);
    }
    let strangers = stores[1].org(organization(2).id).await.unwrap();
    assert_eq!(strangers.reader().teams(None).await.unwrap(), vec![team(7)], "others are not touched");
}

/// A backup of either engine can be restored into either.
#[tokio::test(flavor = "multi_thread")]
async fn a_backup_of_one_engine_is_restored_into_the_other() {
    let place = Place::postgres().await;
    let store = place.open().await;
    for n in [1, 2] {
        let mut write = creates(n + 100);
        write.audit(draft(n));
        one_org(&store, n).await.commit(write).await.unwrap();
    }
    let (folder, target) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let report = store.backup(&folder.path().join("backup")).await.unwrap();
    assert_eq!((report.organizations, report.files), (2, 3));

    store::restore(&folder.path().join("backup"), &target.path().join("data")).unwrap();
    let embedded = Store::open(Config::new(target.path().join("data")), Arc::new(Sevens)).await.unwrap();
    let other = Place::postgres().await;
    let database = other.open().await;
    store::restore_database(&folder.path().join("backup"), &database, Arc::new(Sevens)).await.unwrap();
    for restored in [&embedded, &database] {
        for n in [1, 2] {
            let (was, is) = (store.org(organization(n).id).await, restored.org(organization(n).id).await);
            let (was, is) = (was.unwrap(), is.unwrap());
            assert_eq!(is.reader().teams(None).await.unwrap(), vec![team(n + 100)]);
            let root = was.reader().verify_log(&mut |_| {}).await.unwrap().root;
            assert_eq!(is.reader().verify_log(&mut |_| {}).await.unwrap().root, root);
        }
    }
    let again = store::restore_database(&folder.path().join("backup"), &database, Arc::new(Sevens)).await;
    assert!(matches!(again, Err(Fault::Duplicate { .. })), "{again:?}");
}

/// Commits a change as an action would.
async fn write_down(org: &store::Org, change: DirectoryChange) -> Result<(), CommitError> {
    let mut write = Write::new();
    write.effect(&Effect::ChangeDirectory { change: Box::new(change) });
    org.commit(write).await.map(|_| ())
}

async fn what_is_written_down_for_the_directory_is_carried_over_once_and_in_order(place: Place) {
    let store = place.open().await;
    let org = one_org(&store, 1).await;
    let mut was = organization(1);
    for name in ["Second", "Third"] {
        let record = Organization { name: name.into(), version: was.version + 1, ..was.clone() };
        let change = DirectoryChange::Organization { was: Box::new(was), record: record.clone() };
        write_down(&org, change.clone()).await.unwrap();
        let again = write_down(&org, change).await;
        assert!(
            matches!(again, Err(CommitError::Conflict(Conflict::Moved { .. }))),
            "a version is claimed once"
        );
        was = record;
    }
    // The process dies before it has told the directory; the next one does.
    store.close().await;
    drop((org, store));
    let store = place.open().await;
    let directory = store.directory();
    assert_eq!(directory.organization(was.id).await.unwrap().unwrap().version, 1);
    store.carry_over(was.id).await.unwrap();
    assert_eq!(directory.organization(was.id).await.unwrap().unwrap(), was);

    // Two processes at once, and once more.
    let org = store.org(was.id).await.unwrap();
    let token = TokenRecord {
        id: TokenId::from_uuid(uuid(9)),
        organization_id: was.id,
        user_id: UserId::from_uuid(uuid(2)),
        agent_id: None,
        label: "ci".into(),
        hash: Digest::of(b"secret"),
        scopes: Vec::new(),
        created_at: Timestamp(1),
        expires_at: Timestamp(2),
        revoked_at: None,
        last_used_at: None,
    };
    let account = User {
        id: token.user_id,
        email: "person-2@example.org".into(),
        display_name: "Person 2".into(),
        kind: UserKind::Human,
        status: UserStatus::Active,
        created_at: Timestamp(1),
        version: 1,
    };
    directory.create_user(&account, None).await.unwrap();
    let membership = testkit::records::membership(was.id, 2);
    let mut write = Write::new();
    write.effect(&Effect::CreateMembership { record: membership.clone() });
    org.commit(write).await.unwrap();
    write_down(&org, DirectoryChange::IssueToken { record: token.clone() }).await.unwrap();
    write_down(&org, DirectoryChange::RevokeToken { was: token.clone(), at: Timestamp(5) }).await.unwrap();
    write_down(&org, DirectoryChange::Member { account, new_account: false, membership }).await.unwrap();
    let (one, other) = tokio::join!(store.carry_over(was.id), store.carry_over(was.id));
    one.unwrap();
    other.unwrap();
    store.carry_over(was.id).await.unwrap();
    let found = directory.token(token.id).await.unwrap().unwrap();
    assert_eq!(found, TokenRecord { revoked_at: Some(Timestamp(5)), ..token.clone() });
    let belongs = directory.organizations_of(token.user_id).await.unwrap();
    assert_eq!(belongs, [was.clone()]);
}
