//! What holds on both engines: guards, keys, the log inside the commit, isolation.

use domain::record::{RecordType, VersionRead};
use domain::time::Timestamp;
use store::{CommitError, Conflict, Fault, Write};
use testkit::records::{action, draft, organization, team};

use crate::place::{Place, creates, one_org};

/// Each of the stories on each of the engines.
macro_rules! on_both {
    ($($story:ident)*) => {
        mod embedded {
            $(#[tokio::test(flavor = "multi_thread")]
            async fn $story() {
                super::$story(super::Place::embedded()).await;
            })*
        }
        mod postgres {
            $(#[tokio::test(flavor = "multi_thread")]
            async fn $story() {
                super::$story(super::Place::postgres().await).await;
            })*
        }
    };
}

on_both! {
    a_missed_guard_writes_nothing_and_uses_up_no_sequence
    the_log_is_contiguous_under_concurrent_commits_of_which_some_fail
    organizations_do_not_see_each_other
    a_key_is_claimed_once
    a_lease_is_held_by_one_and_taken_over_when_it_has_run_out
    a_secret_is_the_first_one_offered
    everything_is_there_after_a_restart
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
