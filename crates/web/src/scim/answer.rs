//! How things look to a directory: errors, lists, parts of a resource, tags of versions.

use axum::body::Body;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use domain::refusal::{Code, Refusal};
use domain::scim::{Filter, ScimType, Wrong};
use engine::RequestIds;
use serde_json::{Map, Value, json};

use super::{Directory, MEDIA};
use crate::problem::Problem;

/// Resources on a page when the directory names no count.
const COUNT_DEFAULT: usize = 100;
/// The most resources on a page.
pub const COUNT_MAX: usize = 200;
/// Attributes that one request may name.
const NAMES_MAX: usize = 64;

/// A refusal on its way to a directory, as RFC 7644, section 3.12, writes it.
#[derive(Debug)]
pub struct Refused {
    problem: Problem,
    kind: Option<ScimType>,
}

impl From<Problem> for Refused {
    fn from(problem: Problem) -> Refused {
        let (status, kind) = match problem.code() {
            Code::ValidationFailed => (Some(StatusCode::BAD_REQUEST), Some(ScimType::InvalidValue)),
            // A conflict would be tried again at once; this waits for people.
            Code::ApprovalNotGranted => (Some(StatusCode::FORBIDDEN), None),
            _ => (None, None),
        };
        let problem = match status {
            Some(status) if problem.is_usual() => problem.status(status),
            _ => problem,
        };
        Refused { problem, kind }
    }
}

impl Refused {
    pub fn of(refusal: Refusal, ids: &RequestIds) -> Refused {
        Refused::from(Problem::new(refusal, ids))
    }

    pub fn wrong(wrong: Wrong, ids: &RequestIds) -> Refused {
        let refusal =
            Refusal::new(Code::ValidationFailed, wrong.detail, "docs/scim.md says what this server takes.");
        Refused::of(refusal, ids).because(wrong.kind)
    }

    /// Says what kind of mistake a bad request is.
    pub fn because(mut self, kind: ScimType) -> Refused {
        self.kind = self.kind.map(|_| kind);
        self
    }

    /// Somebody is there already (409).
    pub fn taken(ids: &RequestIds, message: &'static str, remedy: &'static str) -> Refused {
        let problem = Problem::new(Refusal::new(Code::ValidationFailed, message, remedy), ids);
        Refused { problem: problem.status(StatusCode::CONFLICT), kind: Some(ScimType::Uniqueness) }
    }

    /// The resource is not what `If-Match` says (412).
    pub fn moved(ids: &RequestIds) -> Refused {
        let refusal = Refusal::new(
            Code::VersionConflict,
            "the resource has another version than If-Match names",
            "Read it again, and send its new version.",
        );
        Refused { problem: Problem::new(refusal, ids).status(StatusCode::PRECONDITION_FAILED), kind: None }
    }

    pub fn code(&self) -> Code {
        self.problem.code()
    }
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        self.problem.over_scim(self.kind)
    }
}

/// A document of this protocol.
pub fn document(status: StatusCode, value: &Value) -> Response {
    let bytes = serde_json::to_vec(value).unwrap_or_default();
    (status, [(header::CONTENT_TYPE, HeaderValue::from_static(MEDIA))], Body::from(bytes)).into_response()
}

/// One resource with its version, as far as the request asks for it.
pub fn resource(status: StatusCode, asked: &Asked, whole: Value) -> Response {
    let tag = whole.pointer("/meta/version").and_then(Value::as_str).and_then(|tag| tag.parse().ok());
    let location = whole.pointer("/meta/location").and_then(Value::as_str).and_then(|at| at.parse().ok());
    let mut response = document(status, &asked.shown(whole));
    let headers = response.headers_mut();
    headers.extend(tag.map(|tag: HeaderValue| (header::ETAG, tag)));
    if status == StatusCode::CREATED {
        headers.extend(location.map(|location: HeaderValue| (header::LOCATION, location)));
    }
    response
}

/// What the query string of a request asks for (RFC 7644, sections 3.4.2 and 3.9).
pub struct Asked {
    pub filter: Option<Filter>,
    start: usize,
    count: usize,
    only: Option<Vec<String>>,
    without: Vec<String>,
}

impl Asked {
    /// # Errors
    /// `invalidFilter`, `invalidValue`.
    pub fn of(directory: &Directory, query: Option<&str>) -> Result<Asked, Refused> {
        let mut asked =
            Asked { filter: None, start: 1, count: COUNT_DEFAULT, only: None, without: Vec::new() };
        let number = |text: &str| -> Result<usize, Refused> {
            // What is less than there can be means the least (RFC 7644, section 3.4.2.4).
            let number = text.trim().parse::<i64>().map_err(|_| {
                let detail = "startIndex and count are numbers";
                directory.wrong(Wrong { kind: ScimType::InvalidValue, detail })
            })?;
            Ok(usize::try_from(number).unwrap_or(0))
        };
        for (name, text) in crate::body::query_pairs(query.unwrap_or_default()) {
            match name.to_ascii_lowercase().as_str() {
                "filter" => {
                    asked.filter = Some(Filter::parse(&text).map_err(|wrong| directory.wrong(wrong))?);
                }
                "startindex" => asked.start = number(&text)?.max(1),
                "count" => asked.count = number(&text)?.min(COUNT_MAX),
                "attributes" => asked.only = Some(names(&text)),
                "excludedattributes" => asked.without = names(&text),
                _ => {}
            }
        }
        Ok(asked)
    }

    /// A page of resources.
    pub fn page(&self, all: Vec<Value>) -> Response {
        let total = all.len();
        let page = all.into_iter().skip(self.start - 1).take(self.count);
        let page: Vec<Value> = page.map(|whole| self.shown(whole)).collect();
        list(total, self.start, page)
    }

    /// What of a resource is asked for. Its schemas and its id are always told.
    fn shown(&self, whole: Value) -> Value {
        let Value::Object(members) = whole else { return whole };
        let always = |name: &str| name == "schemas" || name == "id";
        let mut shown = Map::new();
        for (name, value) in members {
            let folded = name.to_ascii_lowercase();
            let part = |list: &[String]| -> Vec<String> {
                let of = list.iter().filter_map(|asked| asked.strip_prefix(&folded)?.strip_prefix('.'));
                of.map(str::to_owned).collect()
            };
            if always(&name) {
                shown.insert(name, value);
            } else if let Some(only) = &self.only {
                let parts = part(only);
                if only.contains(&folded) {
                    shown.insert(name, value);
                } else if !parts.is_empty() {
                    shown.insert(name, keep(value, &|sub| parts.iter().any(|part| part == sub)));
                }
            } else if !self.without.contains(&folded) {
                let parts = part(&self.without);
                shown.insert(name, keep(value, &|sub| parts.iter().all(|part| part != sub)));
            }
        }
        Value::Object(shown)
    }
}

/// The parts of a value, or of each value in a list, that are wanted.
fn keep(value: Value, wanted: &impl Fn(&str) -> bool) -> Value {
    match value {
        Value::Array(items) => items.into_iter().map(|item| keep(item, wanted)).collect(),
        Value::Object(members) => {
            let kept = members.into_iter().filter(|(name, _)| wanted(&name.to_ascii_lowercase()));
            Value::Object(kept.collect())
        }
        other => other,
    }
}

/// Names of attributes in lower case, without the URN of their schema.
fn names(text: &str) -> Vec<String> {
    let names = text.split(',').map(|name| name.rsplit(':').next().unwrap_or(name).trim());
    names.filter(|name| !name.is_empty()).take(NAMES_MAX).map(str::to_ascii_lowercase).collect()
}

pub fn list(total: usize, start: usize, resources: Vec<Value>) -> Response {
    document(
        StatusCode::OK,
        &json!({
            "schemas": ["urn:ietf:params:scim:api:messages:2.0:ListResponse"],
            "totalResults": total,
            "startIndex": start,
            "itemsPerPage": resources.len(),
            "Resources": resources,
        }),
    )
}
