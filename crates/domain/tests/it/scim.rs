//! Filters, paths, users and members of groups as directories write them, and as nobody should: whatever is sent is understood
//! or refused, within its bounds, and no refusal repeats it.

use std::collections::BTreeSet;

use domain::scim::{
    FILTER_BYTES_MAX, Filter, Literal, MEMBERS_MAX, OPERATIONS_MAX, Path, Profile, ScimType, TERMS_MAX,
    Wrong, members_after,
};
use proptest::prelude::*;
use serde_json::{Value, json};

fn ada() -> Profile {
    Profile {
        user_name: "ada@acme.example".into(),
        active: true,
        display_name: "Ada Lovelace".into(),
        external_id: Some("00u1".into()),
        given_name: Some("Ada".into()),
        family_name: Some("Lovelace".into()),
    }
}

/// Whether the filter finds Ada.
fn finds(text: &str) -> Result<bool, Wrong> {
    let ada = ada();
    Filter::parse(text)?.matches(|attribute, value: &Literal| {
        Some(match attribute {
            "username" => value.is_like(&ada.user_name),
            "externalid" => ada.external_id.as_ref().is_some_and(|id| value.is(id)),
            "active" => value.is_flag(ada.active),
            _ => return None,
        })
    })
}

#[test]
fn filters_of_directories_are_answered() {
    for (text, found) in [
        (r#"userName eq "ada@acme.example""#, true),
        (r#"userName Eq "ADA@acme.example""#, true),
        (r#"  USERNAME   eq   "ada@acme.example"  "#, true),
        (r#"urn:ietf:params:scim:schemas:core:2.0:User:userName eq "ada@acme.example""#, true),
        (r#"externalId eq "00u1""#, true),
        (r#"externalId eq "00U1""#, false),
        (r#"userName eq "ada@acme.example" and externalId eq "00u1""#, true),
        (r#"userName eq "ada@acme.example" AND active eq false"#, false),
        (r#"active eq true and active eq "True""#, true),
        (r#"userName eq "a\"d\u0061""#, false),
        (r#"userName eq """#, false),
    ] {
        assert_eq!(finds(text), Ok(found), "{text}");
    }
}

#[test]
fn hostile_filters_are_refused_by_name() {
    let long = format!(r#"userName eq "{}""#, "a".repeat(FILTER_BYTES_MAX));
    let many = ["active eq true"; TERMS_MAX + 1].join(" and ");
    let nested = format!("{}active eq true{}", "(".repeat(200), ")".repeat(200));
    let brackets = "[".repeat(900);
    let after = format!("userName eq {}", "[".repeat(900));
    for text in [
        "",
        " ",
        "userName",
        "userName eq",
        "userName eq ada",
        "userName eq 'ada'",
        r#"userName eq "ada"#,
        r#"userName eq "ada" or active eq true"#,
        r#"userName eq "ada" and"#,
        r#"userName eq "ada" x"#,
        r#"userName eq "ada"and"#,
        r#"userName ne "ada""#,
        r#"userName co "a""#,
        r#"not (userName eq "ada")"#,
        r#"(userName eq "ada")"#,
        "userName pr",
        r#"meta.lastModified gt "2011-05-13T04:42:34Z""#,
        r#"password eq "x""#,
        r#"emails[type eq "work"] eq "x""#,
        r#"urn:other:User:userName eq "ada""#,
        "userName eq 5",
        "userName eq null",
        "userName eq \"\u{0}\"",
        "'; drop table membership; --",
        &long,
        &many,
        &nested,
        &brackets,
        &after,
    ] {
        let refused = finds(text).unwrap_err();
        assert_eq!(refused.kind, ScimType::InvalidFilter, "{text}");
    }
    assert!(finds(&["active eq true"; TERMS_MAX].join(" and ")).unwrap());
}

#[test]
fn paths_name_an_attribute_perhaps_with_a_filter_and_a_part() {
    let of = |text: &str| Path::parse(text).map(|p| (p.foreign, p.attribute, p.filter.is_some(), p.sub));
    let sub = |text: &str| Some(text.to_owned());
    assert_eq!(of("active"), Ok((false, "active".into(), false, None)));
    assert_eq!(of("name.givenName"), Ok((false, "name".into(), false, sub("givenname"))));
    assert_eq!(of(r#"emails[type eq "work"].value"#), Ok((false, "emails".into(), true, sub("value"))));
    assert_eq!(of(r#"members[value eq "usr_1"]"#), Ok((false, "members".into(), true, None)));
    let enterprise = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:department";
    assert_eq!(of(enterprise), Ok((true, "department".into(), false, None)));
    let core = "urn:ietf:params:scim:schemas:core:2.0:User:name.familyName";
    assert_eq!(of(core), Ok((false, "name".into(), false, sub("familyname"))));
    for text in [
        "",
        ".",
        "a.",
        "a.b.c",
        "1a",
        "a b",
        "a[",
        "a[]",
        "a]",
        r#"a[b eq "c"]x"#,
        r#"a.b[c eq "d"]"#,
        "a:b",
        "/a",
    ] {
        assert!(of(text).is_err(), "{text}");
    }
    assert!(of(&"a".repeat(FILTER_BYTES_MAX + 1)).is_err());
    assert!(of(&format!("a{}", "[a".repeat(400))).is_err(), "no recursion to exhaust");
}

#[test]
fn a_new_user_as_entra_and_okta_send_them() {
    let entra = json!({
        "schemas": ["urn:ietf:params:scim:schemas:core:2.0:User", "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"],
        "externalId": "0a21f0f2", "userName": "Neo@acme.example", "active": true,
        "emails": [{ "primary": true, "type": "work", "value": "Neo@acme.example" }],
        "meta": { "resourceType": "User" },
        "name": { "formatted": "Thomas Anderson", "familyName": "Anderson", "givenName": "Thomas" },
        "roles": [], "title": "The One",
        "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User": { "department": "Zion" },
    });
    let made = Profile::new(&entra).unwrap();
    assert_eq!((made.display_name.as_str(), made.active), ("Thomas Anderson", true));
    let okta = json!({
        "schemas": ["urn:ietf:params:scim:schemas:core:2.0:User"], "userName": "trinity@acme.example",
        "name": { "givenName": "Trinity", "familyName": "T" }, "displayName": "Trinity",
        "emails": [{ "primary": true, "value": "trinity@acme.example", "type": "work" }],
        "locale": "en-US", "externalId": "00ujl29u0le5T6Aj10h7", "groups": [], "password": "1mz050nq", "active": true,
    });
    let made = Profile::new(&okta).unwrap();
    assert_eq!(made.external_id.as_deref(), Some("00ujl29u0le5T6Aj10h7"));
    assert_eq!(Profile::new(&json!({ "userName": "a@b.example" })).unwrap().display_name, "a@b.example");
    for (body, kind) in [
        (json!([]), ScimType::InvalidValue),
        (json!({}), ScimType::InvalidValue),
        (json!({ "userName": 5 }), ScimType::InvalidValue),
        (json!({ "userName": " " }), ScimType::InvalidValue),
        (json!({ "userName": "a@b.example", "active": "perhaps" }), ScimType::InvalidValue),
        (json!({ "userName": "a@b.example", "displayName": "x".repeat(201) }), ScimType::InvalidValue),
        (json!({ "userName": "a@b.example", "externalId": "x".repeat(257) }), ScimType::InvalidValue),
        (json!({ "userName": "a@b.example", "displayName": "two\nlines" }), ScimType::InvalidValue),
        (json!({ "userName": "a@b.example", "name": "Ada" }), ScimType::InvalidValue),
    ] {
        assert_eq!(Profile::new(&body).unwrap_err().kind, kind, "{body}");
    }
}

fn patch(operations: Value) -> Value {
    json!({ "schemas": ["urn:ietf:params:scim:api:messages:2.0:PatchOp"], "Operations": operations })
}

#[test]
fn patches_of_users_as_entra_and_okta_send_them() {
    let off = Profile { active: false, ..ada() };
    for operation in [
        json!({ "op": "Replace", "path": "active", "value": "False" }),
        json!({ "op": "Replace", "path": "active", "value": false }),
        json!({ "op": "replace", "value": { "active": false } }),
        json!({ "op": "Add", "path": "urn:ietf:params:scim:schemas:core:2.0:User:active", "value": "false" }),
        json!({ "op": "replace", "value": { "id": "usr_1", "active": false, "title": "gone" } }),
    ] {
        assert_eq!(ada().patched(&patch(json!([operation]))), Ok(off.clone()), "{operation}");
    }
    let renamed = ada().patched(&patch(json!([
        { "op": "Add", "path": "name.givenName", "value": "Augusta" },
        { "op": "Replace", "value": { "name.familyName": "King", "displayName": "Augusta King",
            "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:department": "Analysis" } },
        { "op": "Replace", "path": "emails[type eq \"work\"].value", "value": "other@acme.example" },
        { "op": "Add", "path": "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:manager", "value": "x" },
        { "op": "Remove", "path": "externalId" },
        { "op": "Replace", "path": "userName", "value": "ADA@acme.example" },
    ])));
    let expected = Profile {
        display_name: "Augusta King".into(),
        given_name: Some("Augusta".into()),
        family_name: Some("King".into()),
        external_id: None,
        ..ada()
    };
    assert_eq!(renamed, Ok(expected));
    for (operation, kind) in [
        (json!({ "op": "replace", "path": "userName", "value": "eve@acme.example" }), ScimType::Mutability),
        (json!({ "op": "replace", "value": { "userName": "eve@acme.example" } }), ScimType::Mutability),
        (json!({ "op": "replace", "path": "id", "value": "usr_2" }), ScimType::Mutability),
        (json!({ "op": "add", "path": "groups", "value": [] }), ScimType::Mutability),
        (json!({ "op": "remove", "path": "active" }), ScimType::Mutability),
        (json!({ "op": "remove" }), ScimType::NoTarget),
        (json!({ "op": "add", "path": "active" }), ScimType::InvalidValue),
        (json!({ "op": "replace", "path": "active", "value": "no" }), ScimType::InvalidValue),
        (json!({ "op": "replace", "path": "active", "value": [true] }), ScimType::InvalidValue),
        (json!({ "op": "replace", "value": "active" }), ScimType::InvalidValue),
        (json!({ "op": "replace", "path": "favouriteColour", "value": "red" }), ScimType::InvalidPath),
        (json!({ "op": "replace", "path": "active.x", "value": true }), ScimType::InvalidPath),
        (json!({ "op": "replace", "path": 7, "value": true }), ScimType::InvalidPath),
        (json!({ "op": "replace", "path": "emails[type ne \"work\"]", "value": 1 }), ScimType::InvalidFilter),
        (json!({ "op": "move", "path": "active", "value": true }), ScimType::InvalidSyntax),
        (json!("replace"), ScimType::InvalidSyntax),
    ] {
        assert_eq!(ada().patched(&patch(json!([operation]))).unwrap_err().kind, kind, "{operation}");
    }
    let many = vec![json!({ "op": "replace", "path": "active", "value": true }); OPERATIONS_MAX + 1];
    assert_eq!(ada().patched(&patch(json!(many))).unwrap_err().kind, ScimType::TooMany);
    assert_eq!(ada().patched(&patch(json!([]))).unwrap_err().kind, ScimType::TooMany);
    assert_eq!(ada().patched(&json!({ "active": false })).unwrap_err().kind, ScimType::InvalidSyntax);
}

#[test]
fn a_put_clears_what_it_leaves_out_but_never_switches_anybody_on() {
    let off = Profile { active: false, ..ada() };
    let put = off.replaced(&json!({ "userName": "ada@acme.example" })).unwrap();
    assert!(!put.active && put.external_id.is_none() && put.display_name == "Ada Lovelace");
}

fn ids(list: &[&str]) -> BTreeSet<String> {
    list.iter().map(|id| (*id).to_owned()).collect()
}

#[test]
fn members_of_groups_as_entra_and_okta_send_them() {
    let now = ids(&["a", "b"]);
    let after = |operation: Value| members_after("viewer", &now, &patch(json!([operation])), true);
    for (operation, expected) in [
        (
            json!({ "op": "Add", "path": "members", "value": [{ "$ref": null, "value": "c" }] }),
            ids(&["a", "b", "c"]),
        ),
        (json!({ "op": "add", "path": "members", "value": { "value": "c" } }), ids(&["a", "b", "c"])),
        (
            json!({ "op": "add", "value": { "members": [{ "value": "c", "display": "C" }] } }),
            ids(&["a", "b", "c"]),
        ),
        (
            json!({ "op": "Remove", "path": "members", "value": [{ "$ref": null, "value": "a" }] }),
            ids(&["b"]),
        ),
        (json!({ "op": "remove", "path": "members[value eq \"a\"]" }), ids(&["b"])),
        (json!({ "op": "remove", "path": "members[value eq \"z\"]" }), ids(&["a", "b"])),
        (json!({ "op": "remove", "path": "members" }), ids(&[])),
        (json!({ "op": "replace", "path": "members", "value": [{ "value": "c" }] }), ids(&["c"])),
        (json!({ "op": "replace", "value": { "id": "viewer", "displayName": "viewer" } }), ids(&["a", "b"])),
        (json!({ "op": "Replace", "path": "externalId", "value": "x" }), ids(&["a", "b"])),
    ] {
        assert_eq!(after(operation.clone()), Ok(expected), "{operation}");
    }
    for (operation, kind) in [
        (json!({ "op": "replace", "path": "displayName", "value": "emperors" }), ScimType::Mutability),
        (json!({ "op": "replace", "value": { "displayName": "emperors" } }), ScimType::Mutability),
        (json!({ "op": "add", "path": "members", "value": ["c"] }), ScimType::InvalidValue),
        (json!({ "op": "add", "path": "members", "value": [{ "value": 5 }] }), ScimType::InvalidValue),
        (json!({ "op": "add", "path": "members[value eq \"a\"]", "value": [] }), ScimType::NoTarget),
        (json!({ "op": "remove", "path": "members[display eq \"a\"]" }), ScimType::InvalidFilter),
        (json!({ "op": "add", "path": "owners", "value": [] }), ScimType::InvalidPath),
        (
            json!({ "op": "add", "path": "members", "value": vec![json!({ "value": "c" }); MEMBERS_MAX + 1] }),
            ScimType::TooMany,
        ),
    ] {
        assert_eq!(after(operation.clone()).unwrap_err().kind, kind, "{operation}");
    }
    let put = json!({ "displayName": "viewer", "members": [{ "value": "c" }] });
    assert_eq!(members_after("viewer", &now, &put, false), Ok(ids(&["c"])));
}

fn anything() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        prop::sample::select(vec![
            "active",
            "True",
            "members",
            "value",
            "name.givenName",
            "",
            "\u{0}",
            "[[[["
        ])
        .prop_map(Value::from),
        ".{0,40}".prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 32, 4, |inner| {
        let name = prop::sample::select(vec![
            "Operations",
            "op",
            "path",
            "value",
            "members",
            "userName",
            "active",
            "name",
            "displayName",
            "x",
        ]);
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::vec((name, inner), 0..5).prop_map(|members| {
                Value::Object(members.into_iter().map(|(name, value)| (name.to_owned(), value)).collect())
            }),
        ]
    })
}

proptest! {
    #[test]
    fn any_text_is_a_filter_or_is_refused(text in ".{0,200}") {
        if let Err(refused) = Filter::parse(&text) {
            prop_assert!(!refused.detail.is_empty());
        }
        drop(Path::parse(&text));
    }

    #[test]
    fn what_is_asked_for_is_what_is_found(value in "[^\u{0}-\u{1f}]{0,60}", other in "[a-z]{1,9}") {
        let filter = Filter::parse(&format!("userName eq {}", Value::from(value.clone()))).unwrap();
        prop_assert_eq!(filter.matches(|_, literal| Some(literal.is(&value))), Ok(true));
        prop_assert_eq!(filter.matches(|_, literal| Some(literal.is(&format!("{value}{other}")))), Ok(false));
    }

    #[test]
    fn any_body_is_understood_or_refused_and_what_must_be_there_stays(body in anything()) {
        let patched = [ada().patched(&body), ada().patched(&patch(body.clone())), ada().replaced(&body)];
        for after in patched.into_iter().flatten() {
            prop_assert_eq!(&after.user_name, &ada().user_name);
            prop_assert!(!after.display_name.is_empty());
        }
        drop(Profile::new(&body));
        drop(members_after("viewer", &ids(&["a"]), &body, false));
        drop(members_after("viewer", &ids(&["a"]), &patch(body), true));
    }

    #[test]
    fn the_same_patch_of_members_twice_is_the_same(ops in prop::collection::vec((0..3_usize, 0..6_u8), 1..8)) {
        let operations: Vec<Value> = ops.iter().map(|(op, id)| {
            let op = ["add", "remove", "replace"][*op];
            json!({ "op": op, "path": "members", "value": [{ "value": id.to_string() }] })
        }).collect();
        let body = patch(json!(operations));
        let once = members_after("viewer", &ids(&["0", "9"]), &body, true).unwrap();
        let twice = members_after("viewer", &once, &body, true).unwrap();
        prop_assert!(twice == once);
    }
}
