//! Ids, words, times and canonical JSON: what is written is read back, and order is kept.

use domain::action::ActionState;
use domain::certification::GapStatus;
use domain::digest::{Digest, canonical_json};
use domain::id::{FindingId, GapId, ReleaseId};
use domain::permission::Permission;
use domain::record::RecordType;
use domain::refusal::Code;
use domain::severity::Severity;
use domain::time::Timestamp;
use proptest::prelude::*;
use serde_json::{Value, json};
use uuid::Uuid;

/// RFC 8785 for values without numbers, written down a second time.
fn canonical(value: &Value) -> String {
    match value {
        Value::Object(members) => {
            let mut names: Vec<(Vec<u16>, &String)> =
                members.keys().map(|name| (name.encode_utf16().collect(), name)).collect();
            names.sort();
            let parts: Vec<String> = names
                .iter()
                .map(|(_, name)| {
                    let member = members.get(*name).unwrap_or(&Value::Null);
                    format!("{}:{}", Value::String((*name).clone()), canonical(member))
                })
                .collect();
            format!("{{{}}}", parts.join(","))
        }
        Value::Array(items) => {
            format!("[{}]", items.iter().map(canonical).collect::<Vec<_>>().join(","))
        }
        other => other.to_string(),
    }
}

fn json_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::Bool),
        (-1_000_i64..1_000).prop_map(Value::from),
        "[a-z\u{e9}\u{20ac}\u{1f600}\"\\\\ ]{0,6}".prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 24, 5, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::vec(("[a-zA-Z\u{e9}\u{20ac}\u{fb33}\u{1f600}]{0,4}", inner), 0..5)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

#[test]
fn words_are_read_back_as_they_are_written() {
    for word in Permission::ALL {
        assert_eq!(Permission::parse(word.as_str()), Some(*word));
    }
    for word in ActionState::ALL {
        assert_eq!(ActionState::parse(word.as_str()), Some(*word));
        assert_eq!(serde_json::to_value(word).ok(), Some(json!(word.as_str())));
    }
    for word in Code::ALL {
        assert_eq!(Code::parse(word.as_str()), Some(*word));
    }
    for word in RecordType::ALL {
        assert_eq!(RecordType::parse(word.as_str()), Some(*word));
    }
    for word in Severity::ALL {
        assert_eq!(Severity::parse(word.as_str()), Some(word));
        assert_eq!(serde_json::to_value(word).ok(), Some(json!(word.as_str())));
    }
    assert_eq!(GapStatus::parse("Open"), None);
    assert_eq!(GapStatus::parse(""), None);
}

#[test]
fn severities_are_ordered_and_so_are_their_weights() {
    for pair in Severity::ALL.windows(2) {
        if let [worse, better] = pair {
            assert!(worse > better && worse.weight() > better.weight());
        }
    }
}

#[test]
fn canonical_json_orders_members_by_utf16_as_rfc_8785_shows() {
    // Section 3.2.3 of RFC 8785.
    let value = json!({
        "\u{20ac}": "Euro Sign", "\r": "Carriage Return", "\u{fb33}": "Hebrew Letter Dalet With Dagesh",
        "1": "One", "\u{1f600}": "Emoji: Grinning Face", "\u{80}": "Control", "\u{f6}": "Latin Small Letter O With Diaeresis",
    });
    let text =
        canonical_json(&value).ok().and_then(|bytes| String::from_utf8(bytes).ok()).unwrap_or_default();
    let places: Vec<Option<usize>> = ["Carriage", "One", "Control", "Latin", "Euro", "Emoji", "Hebrew"]
        .iter()
        .map(|w| text.find(w))
        .collect();
    assert!(places.iter().all(Option::is_some), "{text}");
    assert!(places.is_sorted(), "{text}");
}

#[test]
fn an_id_of_another_kind_is_refused() {
    let id = GapId::from_uuid(Uuid::from_u128(42)).to_string();
    assert!(id.parse::<GapId>().is_ok());
    assert!(id.parse::<FindingId>().is_err());
    assert!(id.to_uppercase().parse::<GapId>().is_err());
    for text in ["", "gap", "gap_", "gap_0", "gap-00000000000000000000000000"] {
        assert!(text.parse::<GapId>().is_err(), "{text}");
    }
    assert!(format!("{id}0").parse::<GapId>().is_err());
    assert!(format!(" {id}").parse::<GapId>().is_err());
}

proptest! {
    #[test]
    fn ids_are_read_back_and_keep_their_order(a in any::<u128>(), b in any::<u128>()) {
        let (x, y) = (ReleaseId::from_uuid(Uuid::from_u128(a)), ReleaseId::from_uuid(Uuid::from_u128(b)));
        prop_assert_eq!(x.to_string().parse::<ReleaseId>(), Ok(x));
        prop_assert_eq!(x.to_string().len(), 30);
        prop_assert_eq!(x.cmp(&y), x.to_string().cmp(&y.to_string()));
        prop_assert_eq!(a.cmp(&b), x.cmp(&y));
        let text = serde_json::to_string(&x)?;
        prop_assert_eq!(serde_json::from_str::<ReleaseId>(&text)?, x);
    }

    #[test]
    fn every_id_has_one_spelling(text in "rel_[a-z0-9]{26}") {
        if let Ok(id) = text.parse::<ReleaseId>() {
            prop_assert_eq!(id.to_string(), text);
        }
    }

    #[test]
    fn times_are_read_back(micros in -62_000_000_000_000_000_i64..253_000_000_000_000_000) {
        let at = Timestamp(micros);
        prop_assert_eq!(Timestamp::parse(&at.to_string()), Some(at));
    }

    #[test]
    fn canonical_json_is_that_of_the_rule(value in json_value()) {
        let bytes = canonical_json(&value)?;
        prop_assert_eq!(String::from_utf8_lossy(&bytes), canonical(&value));
        let again: Value = serde_json::from_slice(&bytes)?;
        prop_assert_eq!(&again, &value);
        prop_assert_eq!(Digest::of_json(&again)?, Digest::of(&bytes));
    }

    #[test]
    fn digests_are_read_back(bytes in any::<[u8; 32]>()) {
        let digest = Digest(bytes);
        prop_assert_eq!(Digest::parse(&digest.to_string()), Some(digest));
        prop_assert_eq!(digest.to_string().len(), 64);
    }
}
