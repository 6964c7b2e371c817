//! What the log says about itself, on both engines: keys, heads and nodes are only added, bodies go only with a record
//! that says so, and verification finds what was changed by hand.

use domain::audit::{AuditKind, AuditReference};
use domain::digest::Digest;
use domain::merkle::{self, Frontier};
use domain::record::RecordType;
use domain::tile::HEIGHT;
use domain::time::Timestamp;
use store::{CommitError, LogKey, Org, StoredCheckpoint, Write};
use testkit::records::draft;

use crate::both::on_both;
use crate::place::{Place, one_org};

on_both! {
    keys_heads_and_nodes_are_added_once
    a_body_is_erased_with_a_record_that_says_so
    verification_finds_what_was_changed_by_hand
}

/// Writes some records, up to 300 at once.
async fn records(org: &Org, count: u64) {
    for from in (0..count).step_by(300) {
        let mut write = Write::new();
        for n in from..count.min(from + 300) {
            write.audit(draft(n));
        }
        org.commit(write).await.unwrap();
    }
}

/// Seals what is there, without signing.
async fn seal(org: &Org) -> StoredCheckpoint {
    let (mut frontier, mut write) = (Frontier::new(), Write::new());
    for (at, leaf) in org.reader().log_leaves(0..u64::MAX).await.unwrap() {
        assert_eq!(at, frontier.size());
        frontier.append_each(leaf, |part, hash| {
            if part.level > 0 && part.level % HEIGHT == 0 {
                write.log_node(part.level / HEIGHT, part.index, hash);
            }
        });
    }
    let head = StoredCheckpoint {
        size: frontier.size(),
        root: frontier.root(),
        generation: 1,
        note: "note".into(),
        at: Timestamp(5),
    };
    write.checkpoint(&head);
    org.commit(write).await.unwrap();
    head
}

async fn keys_heads_and_nodes_are_added_once(place: Place) {
    let store = place.open().await;
    let org = one_org(&store, 1).await;
    let reader = org.reader();
    assert_eq!(reader.last_checkpoint().await.unwrap(), None);
    let mut done = Vec::new();
    for generation in [1, 2, 2] {
        let mut write = Write::new();
        let verifier_key = format!("key {generation}");
        write.log_key(&LogKey { generation, verifier_key, created_at: Timestamp(generation) });
        done.push(org.commit(write).await);
    }
    assert!(matches!(done.as_slice(), [Ok(_), Ok(_), Err(CommitError::Conflict(_))]), "{done:?}");
    assert_eq!(reader.log_keys().await.unwrap().len(), 2);

    records(&org, 600).await;
    let first = seal(&org).await;
    assert_eq!(first.size, 600);
    let nodes = reader.log_nodes(1, 0..9).await.unwrap();
    assert_eq!(nodes.iter().map(|(at, _)| *at).collect::<Vec<_>>(), [0, 1]);
    // Sealed by two at once: the same again changes nothing, another head of the same size does not replace the first.
    seal(&org).await;
    let mut write = Write::new();
    write.log_node(1, 0, Digest::of(b"other"));
    write.checkpoint(&StoredCheckpoint { note: "other".into(), ..first.clone() });
    write.checkpoint(&StoredCheckpoint { size: 500, generation: 2, ..first.clone() });
    write.cosignature(500, "w1", "line 1", Timestamp(1));
    write.cosignature(500, "w1", "line 2", Timestamp(2));
    org.commit(write).await.unwrap();
    assert_eq!(reader.log_nodes(1, 0..9).await.unwrap(), nodes);
    assert_eq!(reader.last_checkpoint().await.unwrap(), Some(first.clone()));
    assert_eq!(reader.checkpoint(600).await.unwrap(), Some(first));
    assert_eq!(reader.checkpoint(601).await.unwrap(), None);
    assert_eq!(reader.cosigned_checkpoint().await.unwrap().unwrap().size, 500);
    assert_eq!(reader.cosignatures(500).await.unwrap(), ["line 1"]);
    let of_keys = reader.key_checkpoints().await.unwrap();
    assert_eq!(of_keys.iter().map(|c| (c.size, c.generation)).collect::<Vec<_>>(), [(500, 2), (600, 1)]);

    let two = one_org(&store, 2).await;
    assert!(two.reader().log_keys().await.unwrap().is_empty());
    assert_eq!(two.reader().last_checkpoint().await.unwrap(), None);
    assert!(two.reader().log_records(0, 10).await.unwrap().is_empty());
}

fn erases(sequence: i64) -> Write {
    let mut said = draft(9);
    said.kind = AuditKind::Erased;
    let id = sequence.to_string();
    said.references = vec![AuditReference { record_type: RecordType::AuditRecord, id }];
    let mut write = Write::new();
    write.audit(said);
    write.erase_body(sequence);
    write
}

async fn a_body_is_erased_with_a_record_that_says_so(place: Place) {
    let store = place.open().await;
    let (org, other) = (one_org(&store, 1).await, one_org(&store, 2).await);
    records(&org, 4).await;
    records(&other, 4).await;
    let before = org.reader().log_records(2, 1).await.unwrap().remove(0);
    assert!(before.body.is_some());

    org.commit(erases(2)).await.unwrap();
    let after = org.reader().log_records(2, 1).await.unwrap().remove(0);
    assert_eq!(after.body, None);
    assert_eq!((after.entry, after.leaf_hash), (before.entry, before.leaf_hash));
    let foreign = other.reader().log_records(2, 1).await.unwrap();
    assert!(foreign.first().unwrap().body.is_some(), "of another organization");
    let report = org.reader().verify_log(&mut |_| {}).await.unwrap();
    assert_eq!((report.size, report.problems), (5, Vec::new()));

    let again = org.commit(erases(2)).await;
    assert!(matches!(again, Err(CommitError::Conflict(_))), "what is gone is not erased twice: {again:?}");
    assert_eq!(org.reader().audit_size().await.unwrap(), 5, "and leaves no record");

    let mut silent = Write::new();
    silent.erase_body(1);
    let done = org.commit(silent).await;
    if place.database.is_some() {
        assert!(
            matches!(done, Err(CommitError::Conflict(_))),
            "PostgreSQL refuses the serving role: {done:?}"
        );
    } else {
        done.unwrap();
        let problems = org.reader().verify_log(&mut |_| {}).await.unwrap().problems;
        assert_eq!(problems, ["the body of record 1 is gone, and no record says that it was erased"]);
    }
}

async fn verification_finds_what_was_changed_by_hand(place: Place) {
    let store = place.open().await;
    let org = one_org(&store, 1).await;
    records(&org, 1_100).await;
    seal(&org).await;
    let problems = async || org.reader().verify_log(&mut |_| {}).await.unwrap().problems;
    assert_eq!(problems().await, Vec::<String>::new());
    let id = org.id().to_string();

    // A record rewritten together with its leaf hash, as somebody would who knows how the log works.
    let entry = org.reader().log_records(300, 1).await.unwrap().remove(0).entry;
    let rewrite = |entry: &str| {
        let leaf = merkle::leaf_hash(entry.as_bytes());
        format!("update audit_entry set entry = '{entry}', leaf_hash = '{leaf}' where sequence = 300")
    };
    place.by_hand(&id, &rewrite(&entry.replace("request 300", "request 999"))).await;
    let signed = "the first 1100 records are not those that were signed";
    assert_eq!(problems().await, ["records 256 to 511 are not those that were sealed", signed]);
    place.by_hand(&id, &rewrite(&entry)).await;
    assert_eq!(problems().await, Vec::<String>::new());

    let tail = "delete from audit_body where sequence > 1090; delete from audit_entry where sequence > 1090;
        update audit_head set size = 1091";
    place.by_hand(&id, tail).await;
    assert_eq!(problems().await, ["1100 records were signed, but 1091 were found"]);
    place.by_hand(&id, "delete from audit_entry where sequence >= 20 and sequence < 1085").await;
    assert_eq!(problems().await.first().unwrap(), "records 20 to 1084 are missing");
}
