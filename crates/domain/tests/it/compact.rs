//! Leaves in little room.

use data_encoding::HEXLOWER;
use domain::audit::{AuditDraft, AuditKind, AuditReference};
use domain::compact::{pack, unpack};
use domain::id::{ApprovalId, UserId, WorkItemId};
use domain::record::RecordType;
use proptest::prelude::*;

use crate::bundle::{about, id, organization};

/// Pieces of which leaves are made, some of them nearly so, and anything else.
fn text() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        Just(r#"","actionId":"act_"#.to_owned()),
        Just(r#""},"approval":{"#.to_owned()),
        any::<u128>().prop_map(|n| UserId::from_uuid(id(n)).to_string()),
        "_[0-9a-vA-V]{25,27}",
        "[\"_][0-9a-f]{0,70}",
        "\"[0-9a-f]{500,520}",
        "[\u{0}-\u{5}\"_a]{0,5}",
        any::<String>(),
    ];
    prop::collection::vec(piece, 0..12).prop_map(|pieces| pieces.concat())
}

proptest! {
    #[test]
    fn a_text_comes_out_as_it_was(first in text(), second in text()) {
        prop_assert_eq!(unpack(&pack(&first)), Some(first.clone()));
        let mut both = pack(&first);
        both.extend(pack(&second));
        prop_assert_eq!(unpack(&both), Some(first + &second), "texts that follow each other");
    }

    #[test]
    fn what_was_not_packed_is_a_text_or_nothing(bytes in prop::collection::vec(any::<u8>(), 0..80)) {
        if let Some(text) = unpack(&bytes) {
            prop_assert_eq!(unpack(&pack(&text)), Some(text));
        }
    }

    #[test]
    fn no_text_needs_more_than_twice_its_room(text in text()) {
        prop_assert!(pack(&text).len() <= 2 * text.len());
    }
}

/// Files are full of such bytes: what they stand for may never change.
#[test]
fn a_leaf_lies_in_the_bytes_it_has_always_been_in() {
    let named =
        |record_type, n| vec![AuditReference { record_type, id: WorkItemId::from_uuid(id(n)).to_string() }];
    let draft = AuditDraft {
        approval_id: Some(ApprovalId::from_uuid(id(60))),
        references: named(RecordType::Release, 61),
        created: named(RecordType::WorkItem, 62),
        updated: named(RecordType::Team, 63),
        tool: Some("loopiq_create_work_item".into()),
        request_id: format!("req_{}", "0".repeat(26)),
        trace_id: "5".repeat(32),
        ..about(AuditKind::Executed, 7, 50)
    };
    let leaf = draft.seal(organization(), 300, [3; 16]).unwrap().entry_text;
    let packed = pack(&leaf);
    let always = concat!(
        "7b03000220239f59ed55e737c77147cf55ad0c1b030b6d7ee748a7426952f9b852d5a935e50301010000000000000000",
        "000000000000003203030309010000000000000000000000000000006b030c0100000000000000000000000000000007",
        "030e0310322c0311312c031301000000000000000000000000000000070315010000000000000000000000000000003c",
        "0317313937302d30312d30315430303a30303a30302e3030303030315a0318022003a2b882173d1f104f5daf78b42644",
        "a4bca341f20709c90eb246b67a20ed82cb031a031d77695f010000000000000000000000000000003e032a776f726b5f",
        "6974656d227d5d2c03240100000000000000000000000000000001032877695f01000000000000000000000000000000",
        "3d032a72656c65617365032b0100000000000000000000000000000000222c032e3330302c032f6372656174655f776f",
        "726b5f6974656d0330021055555555555555555555555555555555033177695f01000000000000000000000000000000",
        "3f032a7465616d227d5d2c03327d",
    );
    assert_eq!(HEXLOWER.encode(&packed), always, "{leaf}");
    assert_eq!(unpack(&packed).as_ref(), Some(&leaf));
    assert!(packed.len() * 2 < leaf.len(), "{} of {} bytes", packed.len(), leaf.len());
}
