//! Records of the log as events of the Open Cybersecurity Schema Framework, version 1.3.0: signing in and out as
//! Authentication (3002), everything else as API Activity (6003). An attribute that has nothing to say is left out,
//! because the schema knows no null.

use domain::audit::{AuditEntry, AuditKind};
use serde_json::{Map, Value, json};
use store::LogRecord;

use super::export::parsed;

/// Version of the schema that events are written in.
const VERSION: &str = "1.3.0";
const PRODUCT: &str = "LoopIQ MCP";

/// A class of events with its category.
struct Class {
    uid: u32,
    name: &'static str,
    category: (u32, &'static str),
}

const BASE: Class = Class { uid: 0, name: "Base Event", category: (0, "Uncategorized") };
const AUTHENTICATION: Class =
    Class { uid: 3002, name: "Authentication", category: (3, "Identity & Access Management") };
const API_ACTIVITY: Class = Class { uid: 6003, name: "API Activity", category: (6, "Application Activity") };

/// An activity of a class, with its caption.
type Activity = (u32, &'static str);
/// What the class has no word for; the kind of the record says what it is.
const OTHER: u32 = 99;

/// The record as an event; `org` is the organization's short name.
pub fn event(record: &LogRecord, org: &str) -> Value {
    let Ok(entry) = serde_json::from_str::<AuditEntry>(&record.entry) else {
        let mut event = classified(&BASE, (OTHER, "unreadable"));
        event.extend(members(json!({
            "metadata": metadata(record, org, "unreadable"), "severity_id": 4, "severity": "High",
            // When it was is as unreadable as the rest.
            "time": 0, "raw_data": record.entry, "message": "the record cannot be read",
        })));
        return Value::Object(event);
    };
    let (class, activity) = class_and_activity(&entry);
    let mut event = classified(class, activity);
    event.extend(members(common(record, &entry, org)));
    event.extend(members(match class.uid {
        3002 => authentication(&entry, org),
        _ => api_activity(&entry, org),
    }));
    pruned(Value::Object(event))
}

fn members(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(members) => members,
        _ => Map::new(),
    }
}

/// Without members that are null, and without objects and lists in which nothing is left.
fn pruned(value: Value) -> Value {
    match value {
        Value::Object(members) => {
            let kept = members.into_iter().map(|(name, value)| (name, pruned(value)));
            let says = |value: &Value| match value {
                Value::Null => false,
                Value::Object(members) => !members.is_empty(),
                Value::Array(items) => !items.is_empty(),
                _ => true,
            };
            Value::Object(kept.filter(|(_, value)| says(value)).collect())
        }
        Value::Array(items) => Value::Array(items.into_iter().map(pruned).collect()),
        other => other,
    }
}

fn classified(class: &Class, (activity, caption): Activity) -> Map<String, Value> {
    members(json!({
        "category_uid": class.category.0, "category_name": class.category.1,
        "class_uid": class.uid, "class_name": class.name,
        "activity_id": activity, "activity_name": caption,
        "type_uid": class.uid * 100 + activity,
        "type_name": format!("{}: {}", class.name, if activity == OTHER { "Other" } else { caption }),
    }))
}

fn metadata(record: &LogRecord, org: &str, code: &str) -> Value {
    json!({
        "version": VERSION,
        "product": { "name": PRODUCT, "vendor_name": "LoopIQ", "version": env!("CARGO_PKG_VERSION") },
        "uid": record.leaf_hash, "sequence": record.sequence, "event_code": code, "log_name": "audit",
        "tenant_uid": org,
    })
}

fn class_and_activity(entry: &AuditEntry) -> (&'static Class, Activity) {
    let makes = !entry.created.is_empty() && entry.updated.is_empty();
    match entry.kind {
        AuditKind::SignedIn | AuditKind::SignInFailed => (&AUTHENTICATION, (1, "Logon")),
        AuditKind::SignedOut => (&AUTHENTICATION, (2, "Logoff")),
        AuditKind::Read | AuditKind::Preview | AuditKind::Replayed => (&API_ACTIVITY, (2, "Read")),
        // A proposal makes an action.
        AuditKind::Proposed => (&API_ACTIVITY, (1, "Create")),
        AuditKind::Executed | AuditKind::Administered if makes => (&API_ACTIVITY, (1, "Create")),
        AuditKind::Executed | AuditKind::Administered => (&API_ACTIVITY, (3, "Update")),
        AuditKind::Erased => (&API_ACTIVITY, (4, "Delete")),
        kind => (&API_ACTIVITY, (OTHER, kind.as_str())),
    }
}

/// What every class has.
fn common(record: &LogRecord, entry: &AuditEntry, org: &str) -> Value {
    let failed = matches!(entry.kind, AuditKind::Denied | AuditKind::Failed | AuditKind::SignInFailed);
    let alarms = entry.kind == AuditKind::BrokenGlass;
    let body = record.body.as_ref().map(|(_, body)| parsed(body)).unwrap_or_default();
    json!({
        "metadata": metadata(record, org, entry.kind.as_str()),
        "time": entry.at.0 / 1_000,
        "severity_id": if alarms { 4 } else { 1 }, "severity": if alarms { "High" } else { "Informational" },
        "status_id": if failed { 2 } else { 1 }, "status": if failed { "Failure" } else { "Success" },
        "status_code": entry.code, "status_detail": body.get("message"), "message": body.get("reason"),
        "src_endpoint": { "name": entry.channel },
        "unmapped": {
            "action_id": entry.action_id, "action_digest": entry.action_digest, "approval": entry.approval,
            "trace_id": entry.trace_id, "body_hash": entry.body_hash,
        },
    })
}

fn session(entry: &AuditEntry) -> Value {
    json!({
        "uid": entry.actor.session_id, "credential_uid": entry.actor.token_id, "issuer": entry.actor.provider_id,
    })
}

/// Who did it: a person, through an agent where one acted; what nobody did, the program did.
fn actor(entry: &AuditEntry, org: &str) -> Value {
    let user = entry.actor.user_id.map(|user| person(&user.to_string(), entry, org));
    let itself = user.is_none().then_some(PRODUCT);
    json!({ "user": user, "session": session(entry), "app_uid": entry.actor.agent_id, "app_name": itself })
}

fn person(uid: &str, entry: &AuditEntry, org: &str) -> Value {
    json!({
        "uid": uid, "type_id": 1, "type": "User", "org": { "uid": entry.organization_id, "name": org },
    })
}

fn named(entry: &AuditEntry) -> Vec<Value> {
    let named = entry.references.iter().chain(&entry.created).chain(&entry.updated);
    named.map(|named| json!({ "type": named.record_type, "uid": named.id })).collect()
}

fn authentication(entry: &AuditEntry, org: &str) -> Value {
    // Of a sign-in that failed nobody is the actor; whose account it was tried on is what the record is about.
    let concerns =
        entry.references.iter().find(|named| named.record_type == domain::record::RecordType::User);
    let account = entry.actor.user_id.map(|user| user.to_string()).or(concerns.map(|named| named.id.clone()));
    let user = account.map_or_else(
        || json!({ "name": "unknown", "type_id": 0, "type": "Unknown" }),
        |account| person(&account, entry, org),
    );
    json!({
        "user": user, "session": session(entry), "actor": actor(entry, org), "service": { "name": PRODUCT },
        "is_remote": true,
    })
}

fn api_activity(entry: &AuditEntry, org: &str) -> Value {
    json!({
        "actor": actor(entry, org),
        "api": {
            "operation": entry.tool.as_deref().unwrap_or(entry.kind.as_str()),
            "request": { "uid": entry.request_id },
            "response": { "error": entry.code },
            "service": { "name": PRODUCT },
        },
        "resources": named(entry),
    })
}

#[cfg(test)]
mod tests {
    use domain::action::Channel;
    use domain::audit::{AuditActor, AuditReference};
    use domain::digest::Digest;
    use domain::id::{OrgId, UserId};
    use domain::record::RecordType;
    use domain::refusal::Code;
    use domain::time::Timestamp;
    use uuid::Uuid;

    use super::*;

    fn record(kind: AuditKind, actor: AuditActor) -> LogRecord {
        let named = |record_type| vec![AuditReference { record_type, id: "some_1".into() }];
        let entry = AuditEntry {
            version: domain::audit::ENTRY_VERSION,
            organization_id: OrgId::from_uuid(Uuid::from_u128(1)),
            sequence: 7,
            at: Timestamp(1_790_000_000_123_456),
            kind,
            actor,
            channel: Channel::Mcp,
            tool: None,
            action_id: None,
            approval_id: None,
            action_digest: None,
            approval: None,
            assertion: None,
            references: named(RecordType::User),
            created: Vec::new(),
            updated: Vec::new(),
            named_in_body: None,
            code: (kind == AuditKind::Denied).then_some(Code::Forbidden),
            returned: None,
            request_id: "request-1".into(),
            trace_id: "trace-1".into(),
            body_hash: Digest([3; 32]),
        };
        LogRecord {
            sequence: 7,
            leaf_hash: Digest([4; 32]).to_string(),
            entry: serde_json::to_string(&entry).unwrap(),
            body: Some((vec![0; 16], json!({ "reason": "a test" }).to_string())),
        }
    }

    /// What the published schema asks of every event, and of these two classes (`events/base_event.json`,
    /// `events/application/api.json`, `events/iam/authentication.json` and the objects they name).
    fn check(event: &Value, kind: &str) {
        let at = |path: &str| event.pointer(path).unwrap_or(&Value::Null);
        let texts = |paths: &[&str]| {
            for path in paths {
                assert!(at(path).as_str().is_some_and(|text| !text.is_empty()), "{kind}: {path} of {event}");
            }
        };
        let one_of = |paths: &[&str]| {
            assert!(paths.iter().any(|path| !at(path).is_null()), "{kind}: {paths:?} of {event}");
        };
        let number = |path: &str| at(path).as_u64().unwrap_or_else(|| panic!("{kind}: {path} of {event}"));
        let (class, activity) = (number("/class_uid"), number("/activity_id"));
        assert_eq!(number("/category_uid"), class / 1_000, "{kind}");
        assert_eq!(number("/type_uid"), class * 100 + activity, "{kind}");
        assert_eq!(number("/time"), 1_790_000_000_123, "milliseconds");
        assert!([0, 1, 2, 3, 4, 5, 6, 99].contains(&number("/severity_id")), "{kind}");
        assert!([1, 2].contains(&number("/status_id")), "{kind}");
        texts(&[
            "/metadata/version",
            "/metadata/product/name",
            "/metadata/product/vendor_name",
            "/metadata/product/version",
            "/metadata/uid",
            "/activity_name",
        ]);
        assert_eq!((at("/metadata/version"), at("/metadata/event_code")), (&json!("1.3.0"), &json!(kind)));
        let actor = ["/actor/user", "/actor/session", "/actor/app_name", "/actor/app_uid"];
        let user = |of: &str| {
            one_of(&[&format!("{of}/name"), &format!("{of}/uid")]);
            assert!([0, 1].contains(&number(&format!("{of}/type_id"))), "{kind}: {event}");
        };
        one_of(&actor);
        if !at("/actor/user").is_null() {
            user("/actor/user");
        }
        one_of(&["/src_endpoint/name"]);
        match class {
            3002 => {
                assert!([1, 2].contains(&activity), "{kind}");
                one_of(&["/user"]);
                user("/user");
                one_of(&["/service", "/dst_endpoint"]);
                texts(&["/service/name"]);
            }
            6003 => {
                assert!([1, 2, 3, 4, 99].contains(&activity), "{kind}");
                texts(&["/api/operation", "/api/request/uid"]);
            }
            other => panic!("{kind}: {other}"),
        }
    }

    fn nulls(value: &Value) -> bool {
        match value {
            Value::Null => true,
            Value::Object(members) => members.values().any(nulls),
            Value::Array(items) => items.iter().any(nulls),
            _ => false,
        }
    }

    #[test]
    fn every_kind_of_record_is_an_event_as_the_schema_wants_it() {
        let person =
            AuditActor { user_id: Some(UserId::from_uuid(Uuid::from_u128(9))), ..AuditActor::default() };
        for kind in AuditKind::ALL {
            for actor in [AuditActor::default(), person.clone()] {
                let event = event(&record(*kind, actor), "acme");
                check(&event, kind.as_str());
                assert!(!nulls(&event), "{event}");
            }
        }
    }

    #[test]
    fn what_happened_is_called_as_the_schema_calls_it() {
        let of = |kind| event(&record(kind, AuditActor::default()), "acme");
        for (kind, type_uid, status) in [
            (AuditKind::SignedIn, 300_201, 1),
            (AuditKind::SignInFailed, 300_201, 2),
            (AuditKind::SignedOut, 300_202, 1),
            (AuditKind::Read, 600_302, 1),
            (AuditKind::Proposed, 600_301, 1),
            (AuditKind::Executed, 600_303, 1),
            (AuditKind::Erased, 600_304, 1),
            (AuditKind::Approved, 600_399, 1),
            (AuditKind::Denied, 600_399, 2),
        ] {
            let event = of(kind);
            assert_eq!(
                (&event["type_uid"], &event["status_id"]),
                (&json!(type_uid), &json!(status)),
                "{event}"
            );
        }
        assert_eq!(of(AuditKind::BrokenGlass)["severity_id"], 4);
        assert_eq!(of(AuditKind::Denied)["status_code"], "forbidden");
        assert_eq!(of(AuditKind::SignInFailed)["user"]["uid"], "some_1", "whose account it was tried on");
        let unreadable = LogRecord { entry: "{".into(), ..record(AuditKind::Read, AuditActor::default()) };
        let event = event(&unreadable, "acme");
        assert_eq!((&event["type_uid"], &event["raw_data"]), (&json!(99), &json!("{")), "{event}");
    }
}
