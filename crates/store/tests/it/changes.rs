//! Hearing of changes: whoever listens to an organization is told when its records change, by whichever node, and of
//! nothing else.

use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use store::{Changes, Org, Store, Write};
use testkit::postgres::{APP, Database};
use testkit::records::{draft, organization};

use crate::both::on_both;
use crate::place::{Place, creates, one_org};

/// Longer than any notice takes on a busy machine; a test that waits for it has failed.
const PATIENCE: Duration = Duration::from_mins(1);

async fn heard(changes: &mut Changes) {
    assert!(tokio::time::timeout(PATIENCE, changes.changed()).await.unwrap(), "the change is heard");
}

/// Whether there is nothing to hear at this moment.
async fn is_quiet(changes: &mut Changes) -> bool {
    let mut next = pin!(changes.changed());
    std::future::poll_fn(|context| Poll::Ready(next.as_mut().poll(context).is_pending())).await
}

/// Listens, and has been told what a node tells whoever listened before it began to hear.
async fn listening(place: &Place, store: &Store, org: &Org) -> Changes {
    let mut changes = store.changes(org.id());
    if place.database.is_some() {
        heard(&mut changes).await;
    }
    changes
}

/// Ends every connection of the nodes to their database, as a failing network would.
async fn cut(database: &Database) {
    let cut = format!(
        "select pg_terminate_backend(pid) from pg_stat_activity where usename = '{APP}' and datname = '{}'",
        database.name
    );
    database.run("postgres", &cut).await;
}

on_both! {
    a_change_is_heard_by_those_who_listen_to_its_organization
    what_only_adds_to_the_log_is_no_change
    a_store_that_closes_ends_the_waiting
}

async fn a_change_is_heard_by_those_who_listen_to_its_organization(place: Place) {
    let store = place.open().await;
    let (one, two) = (one_org(&store, 1).await, one_org(&store, 2).await);
    let mut other = listening(&place, &store, &two).await;
    let (mut first, mut second) = (store.changes(one.id()), store.changes(one.id()));
    for n in 0..3 {
        one.commit(creates(10 + n)).await.unwrap();
        heard(&mut first).await;
        heard(&mut second).await;
        assert!(is_quiet(&mut first).await && is_quiet(&mut other).await);
    }
    drop(first);
    two.commit(creates(20)).await.unwrap();
    heard(&mut other).await;
    assert!(is_quiet(&mut second).await);
    let mut late = store.changes(one.id());
    assert!(is_quiet(&mut late).await, "only what comes after it began to listen");
}

async fn what_only_adds_to_the_log_is_no_change(place: Place) {
    let store = place.open().await;
    let (one, two) = (one_org(&store, 1).await, one_org(&store, 2).await);
    let mut first = listening(&place, &store, &one).await;
    let mut other = store.changes(two.id());
    let mut read = Write::new();
    read.audit(draft(1));
    one.commit(read).await.unwrap();
    one.commit(creates(11)).await.unwrap();
    heard(&mut first).await;
    let mut failing = creates(11);
    failing.audit(draft(2));
    one.commit(failing).await.unwrap_err();
    let mut read = Write::new();
    read.audit(draft(3));
    one.commit(read).await.unwrap();
    // What was told before it would have been heard by now.
    two.commit(creates(20)).await.unwrap();
    heard(&mut other).await;
    let told = !is_quiet(&mut first).await;
    // On PostgreSQL a group that failed may be told: its answer could have been lost.
    assert!(!told || place.database.is_some());
}

async fn a_store_that_closes_ends_the_waiting(place: Place) {
    let store = place.open().await;
    let org = one_org(&store, 1).await;
    let mut changes = listening(&place, &store, &org).await;
    let (ended, ()) = tokio::join!(changes.changed(), store.close());
    assert!(!ended);
}

#[tokio::test]
async fn many_changes_are_one_for_who_was_slow() {
    let place = Place::embedded();
    let store = place.open().await;
    let org = one_org(&store, 1).await;
    let mut changes = store.changes(org.id());
    for n in 0..50 {
        org.commit(creates(n)).await.unwrap();
    }
    heard(&mut changes).await;
    assert!(is_quiet(&mut changes).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_is_heard_on_every_node_also_the_last_one_before_a_node_closes() {
    let place = Place::postgres().await;
    let nodes = [place.open().await, place.open().await, place.open().await];
    let org = one_org(&nodes[0], 1).await;
    let mut heard_by = Vec::new();
    for node in &nodes {
        heard_by.push(listening(&place, node, &org).await);
    }
    for (n, node) in nodes.iter().enumerate() {
        node.org(org.id()).await.unwrap().commit(creates(n as u64)).await.unwrap();
        for changes in &mut heard_by {
            heard(changes).await;
        }
    }
    org.commit(creates(10)).await.unwrap();
    nodes[0].close().await;
    heard(&mut heard_by[1]).await;
    heard(&mut heard_by[2]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_listener_whose_connection_is_cut_is_told_to_look_again_and_hears_on() {
    let place = Place::postgres().await;
    let (near, far) = (place.open().await, place.open().await);
    let org = one_org(&near, 1).await;
    let mut changes = listening(&place, &far, &org).await;
    let mut other = far.changes(organization(2).id);
    for n in 0..3 {
        cut(place.database.as_ref().unwrap()).await;
        heard(&mut changes).await;
        heard(&mut other).await;
        org.commit(creates(n)).await.unwrap();
        heard(&mut changes).await;
        assert!(is_quiet(&mut other).await, "heard again, and not of others");
    }
}
