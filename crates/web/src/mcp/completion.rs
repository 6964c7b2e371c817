//! Completion: what may stand in an argument of a prompt or in the variable of a resource template, read through the same
//! tools, with the same rights, as a list.

use serde::Deserialize;
use serde_json::{Value, json};

use super::error::RpcError;
use super::server::Context;
use super::{prompts, resources};

/// Values of one answer (the protocol's limit).
const VALUES_MAX: usize = 100;
/// Records that are looked through.
const LOOKED_THROUGH: u32 = 100;
/// Characters of what has been typed so far.
const TYPED_CHARS_MAX: usize = 200;

/// `ref`.
#[derive(Debug, Deserialize)]
#[serde(tag = "type")]
pub enum Reference {
    #[serde(rename = "ref/prompt")]
    Prompt { name: String },
    #[serde(rename = "ref/resource")]
    Resource { uri: String },
}

/// `argument`.
#[derive(Debug, Deserialize)]
pub struct Argument {
    pub name: String,
    pub value: String,
}

/// What is looked for: the tool that lists it, how it is asked, and where in an item the value stands.
struct Source {
    tool: &'static str,
    /// The tool's own parameter for what a name contains, where it has one.
    query: Option<&'static str>,
    more: Value,
    value: &'static str,
}

fn source(reference: &Reference, argument: &str) -> Option<Source> {
    let names = matches!(reference, Reference::Prompt { .. });
    Some(match argument {
        "release" | "releaseId" => Source {
            tool: "loopiq_list_releases",
            query: names.then_some("query"),
            more: json!({ "allTeams": true, "limit": LOOKED_THROUGH }),
            value: if names { "/name" } else { "/id" },
        },
        "certification" | "certificationId" => Source {
            tool: "loopiq_list_release_certifications",
            query: None,
            more: json!({ "limit": LOOKED_THROUGH }),
            value: "/id",
        },
        "team" => Source { tool: "loopiq_list_teams", query: Some("query"), more: json!({}), value: "/name" },
        "evidenceId" => Source {
            tool: "loopiq_list_evidence",
            query: None,
            more: json!({ "limit": LOOKED_THROUGH }),
            value: "/id",
        },
        "actionId" => Source {
            tool: "loopiq_list_actions",
            query: None,
            more: json!({ "limit": LOOKED_THROUGH }),
            value: "/id",
        },
        "sequence" => Source {
            tool: "loopiq_list_audit_records",
            query: None,
            more: json!({ "limit": LOOKED_THROUGH }),
            value: "/id",
        },
        _ => return None,
    })
}

/// Completes one argument.
///
/// # Errors
/// -32602 for a prompt or template that is not there.
pub async fn complete(
    cx: &Context<'_>,
    reference: &Reference,
    argument: &Argument,
) -> Result<Value, RpcError> {
    let known = match reference {
        Reference::Prompt { name } => {
            prompts::find(cx, name).is_some_and(|p| p.argument.name == argument.name)
        }
        Reference::Resource { uri } => {
            resources::is_template(uri) && uri.contains(&format!("{{{}}}", argument.name))
        }
    };
    if !known {
        return Err(RpcError::not_there(
            "there is no prompt or template with this argument",
            "unknown_reference",
            "Ask prompts/list and resources/templates/list which there are.",
        ));
    }
    let typed = argument.value.trim();
    let found = match source(reference, &argument.name) {
        Some(source) if typed.chars().count() <= TYPED_CHARS_MAX => values(cx, &source, typed).await,
        _ => Vec::new(),
    };
    let total = found.len();
    let values: Vec<String> = found.into_iter().take(VALUES_MAX).collect();
    Ok(json!({ "completion": { "hasMore": total > values.len(), "total": total, "values": values } }))
}

/// What may be completed is only what the caller may list; refusals are an empty answer, as for somebody who typed something
/// that is not there.
async fn values(cx: &Context<'_>, source: &Source, typed: &str) -> Vec<String> {
    if !cx.may(source.tool) {
        return Vec::new();
    }
    let mut arguments = source.more.clone();
    if let (Some(name), Some(object), false) = (source.query, arguments.as_object_mut(), typed.is_empty()) {
        object.insert(name.to_owned(), typed.into());
    }
    let Some(found) = cx.read(source.tool, arguments).await else { return Vec::new() };
    let wanted = typed.to_lowercase();
    let items = found.get("items").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    let values = items.iter().filter_map(|item| item.pointer(source.value).and_then(Value::as_str));
    let (mut begins, contains): (Vec<String>, Vec<String>) = values
        .filter(|value| value.to_lowercase().contains(&wanted))
        .map(str::to_owned)
        .partition(|value| value.to_lowercase().starts_with(&wanted));
    begins.extend(contains);
    begins
}
