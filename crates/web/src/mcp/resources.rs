//! Resources: records of release governance under addresses of their own (`loopiq://…`), read through the same tools, with
//! the same rights and the same audit as a call; and documents of the server itself, which are skills and pages for hosts.
//! An address is taken apart strictly: what is not exactly one of these forms names nothing.

use domain::id::{ActionId, CertificationId, EvidenceId, ReleaseId};
use engine::watch::Watched;
use engine::{Query, pages};
use serde_json::{Value, json};

use super::apps::App;
use super::error::RpcError;
use super::server::Context;
use super::{apps, icons, skills};

/// The scheme of records.
const SCHEME: &str = "loopiq://";
/// Records on one page of the list.
const PAGE: u32 = 100;
/// Characters of one resource: about what clients take in one piece.
const RESOURCE_CHARS_MAX: usize = 400_000;
/// How long a client may keep what was read of a record: not at all, it may change at any moment.
pub const LIVE_TTL_MS: u32 = 0;
/// How long it may keep what comes with the program.
pub const FIXED_TTL_MS: u32 = 3_600_000;

/// What an address names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Address {
    Context,
    Release(ReleaseId),
    Certification(CertificationId),
    EvidenceGraph(CertificationId),
    Evidence(EvidenceId),
    Action(ActionId),
    /// One record of the audit log, by its position: the receipt of whatever was done.
    Receipt(u64),
}

/// A form of addresses.
struct Template {
    uri: &'static str,
    name: &'static str,
    title: &'static str,
    description: &'static str,
    tool: &'static str,
    icon: &'static str,
}

const TEMPLATES: [Template; 6] = [
    Template {
        uri: "loopiq://releases/{releaseId}",
        name: "release",
        title: "Release",
        description: "A release with its checks, gates and rollback decision.",
        tool: "loopiq_get_release",
        icon: "release",
    },
    Template {
        uri: "loopiq://certifications/{certificationId}",
        name: "certification",
        title: "Release certification",
        description: "A certification with its readiness and the verdict of each control.",
        tool: "loopiq_get_release_certification",
        icon: "release",
    },
    Template {
        uri: "loopiq://certifications/{certificationId}/evidence-graph",
        name: "evidence_graph",
        title: "Evidence graph",
        description: "How release, controls, evidence, gaps, blockers and work hang together.",
        tool: "loopiq_get_release_certification_evidence_graph",
        icon: "release",
    },
    Template {
        uri: "loopiq://evidence/{evidenceId}",
        name: "evidence",
        title: "Evidence",
        description: "A piece of evidence: what was counted, where it came from, its SHA-256, how long it counts.",
        tool: "loopiq_list_evidence",
        icon: "evidence",
    },
    Template {
        uri: "loopiq://actions/{actionId}",
        name: "action",
        title: "Governed action",
        description: "A governed write with its approval card, its state and its outcome.",
        tool: "loopiq_get_action",
        icon: "action",
    },
    Template {
        uri: "loopiq://audit/{sequence}",
        name: "audit_receipt",
        title: "Audit receipt",
        description: "One record of the audit log by its position, with its leaf hash.",
        tool: "loopiq_list_audit_records",
        icon: "action",
    },
];

impl Address {
    /// Reads an address; `None` for anything that is not exactly one.
    pub fn parse(uri: &str) -> Option<Address> {
        let mut parts = uri.strip_prefix(SCHEME)?.split('/');
        let found = match (parts.next()?, parts.next(), parts.next()) {
            ("context", None, None) => Address::Context,
            ("releases", Some(id), None) => Address::Release(id.parse().ok()?),
            ("certifications", Some(id), None) => Address::Certification(id.parse().ok()?),
            ("certifications", Some(id), Some("evidence-graph")) => Address::EvidenceGraph(id.parse().ok()?),
            ("evidence", Some(id), None) => Address::Evidence(id.parse().ok()?),
            ("actions", Some(id), None) => Address::Action(id.parse().ok()?),
            ("audit", Some(at), None) if !at.starts_with(['+', '0']) || at == "0" => {
                Address::Receipt(at.parse().ok()?)
            }
            _ => return None,
        };
        parts.next().is_none().then_some(found)
    }

    /// What a client may follow of it.
    pub fn watched(self) -> Option<Watched> {
        Some(match self {
            Address::Release(id) => Watched::Release(id),
            Address::Certification(id) | Address::EvidenceGraph(id) => Watched::Certification(id),
            Address::Evidence(id) => Watched::Evidence(id),
            Address::Action(id) => Watched::Action(id),
            Address::Context | Address::Receipt(_) => return None,
        })
    }
}

/// One page of a list, and where the next begins.
pub struct Listed {
    pub items: Vec<Value>,
    pub next: Option<String>,
}

impl Listed {
    pub fn whole(items: Vec<Value>) -> Listed {
        Listed { items, next: None }
    }
}

/// The templates whose tools the caller may use.
pub fn templates(cx: &Context<'_>) -> Listed {
    let base = cx.state.settings.base();
    let allowed = TEMPLATES.iter().filter(|template| cx.may(template.tool));
    Listed::whole(
        allowed
            .map(|t| {
                json!({
                    "uriTemplate": t.uri, "name": t.name, "title": t.title, "description": t.description,
                    "mimeType": "application/json", "icons": icons::of(base, t.icon),
                })
            })
            .collect(),
    )
}

/// Lists: what comes with the program and the releases first, then the certifications.
///
/// # Errors
/// -32602 for a cursor that is none of this list.
pub async fn list(cx: &Context<'_>, cursor: Option<&str>) -> Result<Listed, RpcError> {
    let certifications = cx.may("loopiq_list_release_certifications");
    let (kind, at) = match cursor {
        None => ('r', None),
        Some(cursor) => {
            let known = cursor.split_at_checked(1).filter(|(kind, _)| matches!(*kind, "r" | "c"));
            let (kind, at) = known.ok_or_else(RpcError::bad_cursor)?;
            (if kind == "r" { 'r' } else { 'c' }, Some(at).filter(|at| !at.is_empty()))
        }
    };
    let mut items = if cursor.is_none() { fixed(cx) } else { Vec::new() };
    let page = |more: Value| {
        let mut arguments = json!({ "limit": PAGE });
        if let (Some(object), Value::Object(more)) = (arguments.as_object_mut(), more) {
            object.extend(more);
            if let Some(at) = at {
                object.insert("cursor".into(), at.into());
            }
        }
        arguments
    };
    if kind == 'r' {
        if !cx.may("loopiq_list_releases") {
            return Ok(Listed::whole(items));
        }
        let found = cx.read("loopiq_list_releases", page(json!({ "allTeams": true }))).await;
        let found = found.ok_or_else(RpcError::bad_cursor)?;
        items.extend(entries(&found).iter().map(|release| {
            let text = |name: &str| release.get(name).and_then(Value::as_str).unwrap_or_default();
            entry(cx, &format!("releases/{}", text("id")), text("name"), "Release", "release")
        }));
        let next = found.get("nextCursor").and_then(Value::as_str).map(|next| format!("r{next}"));
        return Ok(Listed { items, next: next.or_else(|| certifications.then(|| "c".to_owned())) });
    }
    if !certifications {
        return Err(RpcError::bad_cursor());
    }
    let found = cx.read("loopiq_list_release_certifications", page(json!({}))).await;
    let found = found.ok_or_else(RpcError::bad_cursor)?;
    items.extend(entries(&found).iter().map(|found| {
        let text = |at: &str| found.pointer(at).and_then(Value::as_str).unwrap_or_default();
        let path = format!("certifications/{}", text("/id"));
        entry(cx, &path, text("/title"), "Release certification", "release")
    }));
    let next = found.get("nextCursor").and_then(Value::as_str).map(|next| format!("c{next}"));
    Ok(Listed { items, next })
}

fn entries(found: &Value) -> &[Value] {
    found.get("items").and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

/// What needs no record: who is asking, and the skills.
fn fixed(cx: &Context<'_>) -> Vec<Value> {
    let mut items = Vec::new();
    if cx.may("loopiq_get_context") {
        items.push(entry(
            cx,
            "context",
            "Who is connected to what",
            "Organization, roles and rights",
            "release",
        ));
    }
    items.extend(skills::resources(cx.state.settings.base()));
    items
}

fn entry(cx: &Context<'_>, path: &str, title: &str, description: &str, icon: &str) -> Value {
    json!({
        "uri": format!("{SCHEME}{path}"), "name": path, "title": title, "description": description,
        "mimeType": "application/json", "icons": icons::of(cx.state.settings.base(), icon),
    })
}

/// What was read, and how long a client may keep it.
pub struct Read {
    pub contents: Value,
    pub ttl_ms: u32,
}

/// Reads one resource.
///
/// # Errors
/// No such resource, said the same way for absent, foreign and forbidden ones.
pub async fn read(cx: &Context<'_>, uri: &str) -> Result<Read, RpcError> {
    let fixed = |mime: &str, text: &str| json!([{ "uri": uri, "mimeType": mime, "text": text }]);
    if let Some(text) = skills::file(uri) {
        return Ok(Read { contents: fixed(skills::MIME, text), ttl_ms: FIXED_TTL_MS });
    }
    if let Some(app) = App::at(uri) {
        let mut contents = fixed(apps::MIME, app.html());
        if let Some(entry) = contents.get_mut(0).and_then(Value::as_object_mut) {
            entry.insert("_meta".into(), apps::meta());
        }
        return Ok(Read { contents, ttl_ms: FIXED_TTL_MS });
    }
    let missing = || RpcError::no_resource(cx.era.is_modern(), uri);
    let address = Address::parse(uri).ok_or_else(missing)?;
    let text = match address {
        Address::Context => cx.text("loopiq_get_context", json!({})).await,
        Address::Release(id) => cx.text("loopiq_get_release", json!({ "release": id })).await,
        Address::Certification(id) => {
            cx.text("loopiq_get_release_certification", json!({ "certificationId": id })).await
        }
        Address::EvidenceGraph(id) => {
            let tool = "loopiq_get_release_certification_evidence_graph";
            cx.text(tool, json!({ "certificationId": id })).await
        }
        Address::Action(id) => cx.text("loopiq_get_action", json!({ "actionId": id })).await,
        Address::Evidence(id) => record::<pages::Evidence>(cx, pages::ById { id }).await,
        Address::Receipt(id) => record::<pages::AuditItem>(cx, pages::ById { id }).await,
    };
    let text = text.ok_or_else(missing)?;
    if text.len() > RESOURCE_CHARS_MAX {
        return Err(RpcError::not_there(
            "this resource is too large to be read in one piece",
            "too_large",
            "Ask for parts of it with the tools, which have filters and pages.",
        ));
    }
    let contents = json!([{ "uri": uri, "mimeType": "application/json", "text": text }]);
    Ok(Read { contents, ttl_ms: LIVE_TTL_MS })
}

async fn record<Q: Query>(cx: &Context<'_>, input: Q::In) -> Option<String> {
    let found = cx.state.engine.ask::<Q>(cx.caller(), input).await.ok()?;
    serde_json::to_string(&found).ok()
}

/// The templates' forms, for completion: which tool lists what stands in the variable.
pub fn is_template(uri: &str) -> bool {
    TEMPLATES.iter().any(|template| template.uri == uri)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_exact_addresses_name_something() {
        let id = ReleaseId::from_uuid(uuid::Uuid::from_u64_pair(1, 2));
        assert_eq!(Address::parse(&format!("loopiq://releases/{id}")), Some(Address::Release(id)));
        assert_eq!(Address::parse("loopiq://audit/12"), Some(Address::Receipt(12)));
        assert_eq!(Address::parse("loopiq://context"), Some(Address::Context));
        for wrong in [
            "loopiq://releases".to_owned(),
            format!("loopiq://releases/{id}/"),
            format!("loopiq://releases/{id}/../x"),
            format!("loopiq://releases/%2e%2e/{id}"),
            format!("LOOPIQ://releases/{id}"),
            format!("loopiq://certifications/{id}"),
            "loopiq://audit/+1".to_owned(),
            "loopiq://audit/01".to_owned(),
            "file:///etc/passwd".to_owned(),
            String::new(),
        ] {
            assert_eq!(Address::parse(&wrong), None, "{wrong}");
        }
    }

    #[test]
    fn every_template_has_its_tool() {
        for template in &TEMPLATES {
            assert!(
                engine::tools::find(template.tool).is_some_and(engine::Tool::is_read),
                "{}",
                template.tool
            );
        }
    }
}
