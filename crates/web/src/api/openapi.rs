//! The API's description, OpenAPI 3.1, written once from the route table, the types and the tools' schemas.

use std::sync::LazyLock;

use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use engine::evidence::EvidencePushed;
use engine::log::{Consistency, Inclusion};
use engine::view::ActionView;
use schemars::{JsonSchema, SchemaGenerator, generate::SchemaSettings};
use serde_json::{Map, Value, json};

use super::{
    ROUTES, Route, Shape, Who, actions, assistant, clients, evidence, policies, session, sessions, webhooks,
};
use crate::problem;

/// `GET /api/v1/openapi.json`.
pub async fn show() -> Response {
    static TEXT: LazyLock<String> = LazyLock::new(|| document().to_string());
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static("application/json")),
        (header::CACHE_CONTROL, HeaderValue::from_static("public, max-age=300")),
    ];
    (headers, TEXT.as_str()).into_response()
}

/// Definitions of types, gathered while routes are described.
struct Types(SchemaGenerator);

impl Types {
    fn of<T: JsonSchema>(&mut self) -> Value {
        self.0.subschema_for::<T>().to_value()
    }
}

fn document() -> Value {
    let settings = SchemaSettings::draft2020_12().with(|s| s.definitions_path = "/components/schemas".into());
    let mut types = Types(SchemaGenerator::new(settings));
    let problem = types.of::<problem::Body<'static>>();
    let mut paths: Map<String, Value> = Map::new();
    for route in ROUTES {
        let operation = operation(route, &mut types);
        let entry = paths.entry(path(route)).or_insert_with(|| json!({}));
        if let Some(methods) = entry.as_object_mut() {
            methods.insert(route.method.to_owned(), operation);
        }
    }
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "LoopIQ HTTP API",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "Errors are application/problem+json with a stable code and what to do next.",
        },
        "paths": paths,
        "components": {
            "schemas": types.0.take_definitions(true),
            "responses": {
                "problem": {
                    "description": "Refused, or broken on our side.",
                    "content": {"application/problem+json": {"schema": problem}},
                },
            },
            "securitySchemes": {
                "token": {"type": "http", "scheme": "bearer"},
                "session": {
                    "type": "apiKey", "in": "cookie", "name": "__Host-loopiq",
                    "description": "Changes also need the header X-CSRF-Token.",
                },
            },
        },
    })
}

fn operation(route: &Route, types: &mut Types) -> Value {
    let mut operation = json!({
        "operationId": operation_id(route),
        "summary": route.summary,
        "security": match route.who {
            Who::Anybody => json!([]),
            Who::Caller => json!([{"token": []}, {"session": []}]),
            Who::Person => json!([{"session": []}]),
        },
        "parameters": parameters(route, types),
        "responses": responses(route, types),
    });
    if let (Some(body), Some(members)) = (request_body(route.takes, types), operation.as_object_mut()) {
        members.insert("requestBody".into(), body);
    }
    operation
}

/// The path as OpenAPI writes it, which has no sign for a part that goes on to the end.
fn path(route: &Route) -> String {
    route.path.replace("{*", "{")
}

/// `get_releases_release` for `GET /api/v1/releases/{release}`.
fn operation_id(route: &Route) -> String {
    let mut id = route.method.to_owned();
    let path = path(route);
    for part in path.split(['/', '.', '-']).skip(3).filter(|part| !part.is_empty()) {
        id.push('_');
        id.push_str(part.trim_matches(['{', '}']));
    }
    id
}

fn parameters(route: &Route, types: &mut Types) -> Value {
    let path = path(route);
    let in_path = path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'));
    let mut all: Vec<Value> = in_path
        .map(|name| json!({"name": name, "in": "path", "required": true, "schema": {"type": "string"}}))
        .collect();
    if let Shape::Answer(tool) = route.gives {
        let schema = engine::tools::find(tool).map(engine::Tool::input_schema);
        let properties = schema.and_then(|schema| schema.get("properties")).and_then(Value::as_object);
        // What the path names already is no query parameter: the route with a path part takes nothing else that is
        // required.
        for (name, property) in properties.into_iter().flatten() {
            if !(all.len() == 1 && names_the_record(name)) {
                all.push(json!({"name": name, "in": "query", "schema": property}));
            }
        }
    }
    if matches!(route.gives, Shape::Abilities) {
        let schema = types.0.root_schema_for::<assistant::Where>().to_value();
        for (name, property) in schema.get("properties").and_then(Value::as_object).into_iter().flatten() {
            all.push(json!({"name": name, "in": "query", "schema": property}));
        }
    }
    if matches!(route.takes, Shape::EvidenceFiles) {
        let schema = types.0.root_schema_for::<evidence::Accompanying>().to_value();
        for (name, property) in schema.get("properties").and_then(Value::as_object).into_iter().flatten() {
            all.push(json!({"name": name, "in": "query", "schema": property}));
        }
        all.push(json!({"name": "Idempotency-Key", "in": "header", "schema": {"type": "string"}}));
    }
    if route.method != "get" && route.who != Who::Anybody {
        all.push(json!({
            "name": "X-CSRF-Token", "in": "header", "required": route.who == Who::Person,
            "schema": {"type": "string"}, "description": "Needed with a session, not with a token.",
        }));
    }
    Value::Array(all)
}

fn names_the_record(argument: &str) -> bool {
    matches!(argument, "release" | "certificationId" | "workItemId")
}

fn request_body(takes: Shape, types: &mut Types) -> Option<Value> {
    let json_body =
        |schema: Value| Some(json!({"required": true, "content": {"application/json": {"schema": schema}}}));
    match takes {
        Shape::SignIn => json_body(types.of::<session::SignIn>()),
        Shape::Reason => json_body(types.of::<actions::Reason>()),
        Shape::Trial => json_body(types.of::<policies::Trial>()),
        Shape::ModelKey => json_body(types.of::<assistant::NewKey>()),
        Shape::Question => json_body(types.of::<assistant::Ask>()),
        Shape::Approval => Some(json!({
            "required": false,
            "content": {"application/json": {"schema": types.of::<actions::Approval>()}},
        })),
        Shape::AnyArguments => json_body(json!({"type": "object"})),
        Shape::EvidenceFiles => Some(json!({
            "required": true,
            "content": {
                "application/octet-stream": {"schema": {"type": "string", "format": "binary"}},
                "multipart/form-data": {"schema": {"type": "object", "properties": {
                    "file": {"type": "array", "items": {"type": "string", "format": "binary"}},
                }}},
            },
        })),
        _ => None,
    }
}

fn responses(route: &Route, types: &mut Types) -> Value {
    let problem = json!({"$ref": "#/components/responses/problem"});
    let ok =
        |schema: Value| json!({"description": "Done.", "content": {"application/json": {"schema": schema}}});
    let bare = |kind: &str, schema: &str| json!({"description": "Done.", "content": {kind: {"schema": {"type": schema}}}});
    let mut all = Map::new();
    match route.gives {
        Shape::SignedIn => drop(all.insert("200".into(), ok(types.of::<session::SignedIn>()))),
        Shape::Me => drop(all.insert("200".into(), ok(types.of::<session::Me>()))),
        Shape::Clients => drop(all.insert("200".into(), ok(types.of::<clients::Clients>()))),
        Shape::Sessions => drop(all.insert("200".into(), ok(types.of::<sessions::Sessions>()))),
        Shape::Action => drop(all.insert("200".into(), ok(types.of::<ActionView>()))),
        Shape::Confirmation => drop(all.insert("200".into(), ok(types.of::<actions::Confirmation>()))),
        Shape::Inclusion => drop(all.insert("200".into(), ok(types.of::<Inclusion>()))),
        Shape::Consistency => drop(all.insert("200".into(), ok(types.of::<Consistency>()))),
        Shape::Tried => drop(all.insert("200".into(), ok(types.of::<engine::draft::Tried>()))),
        Shape::Secret => drop(all.insert("200".into(), ok(types.of::<webhooks::NewSecret>()))),
        Shape::Abilities => drop(all.insert("200".into(), ok(types.of::<assistant::Abilities>()))),
        Shape::Conversations => drop(all.insert("200".into(), ok(types.of::<assistant::Conversations>()))),
        Shape::Conversation => drop(all.insert("200".into(), ok(types.of::<assistant::Whole>()))),
        Shape::Answered => {
            let status = if route.path.ends_with("/turns") { "200" } else { "201" };
            all.insert(status.into(), ok(types.of::<assistant::Answered>()));
        }
        Shape::Note => drop(all.insert("200".into(), bare("text/plain", "string"))),
        Shape::Pack => drop(all.insert("200".into(), bare("application/zip", "string"))),
        Shape::Bundle => drop(all.insert("200".into(), bare("application/x-ndjson", "string"))),
        Shape::Tile => drop(all.insert("200".into(), bare("application/octet-stream", "string"))),
        Shape::EvidencePushed => {
            let one = types.of::<EvidencePushed>();
            let several = types.of::<evidence::PushedFiles>();
            let schema = json!({"anyOf": [one, several]});
            all.insert("200".into(), ok(schema.clone()));
            all.insert("201".into(), ok(schema));
        }
        Shape::Answer(tool) => {
            let schema =
                engine::tools::find(tool).map_or_else(|| json!({}), |tool| tool.output_schema().clone());
            all.insert("200".into(), ok(schema));
        }
        Shape::AnyAnswer | Shape::Document => drop(all.insert("200".into(), ok(json!({"type": "object"})))),
        _ => drop(all.insert("204".into(), json!({"description": "Done."}))),
    }
    all.insert("4XX".into(), problem.clone());
    all.insert("5XX".into(), problem);
    Value::Object(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_route_is_described_and_nothing_else() {
        let document = document();
        let paths = document["paths"].as_object().unwrap();
        let described: usize = paths.values().map(|methods| methods.as_object().unwrap().len()).sum();
        assert_eq!(described, ROUTES.len());
        for route in ROUTES {
            let path = path(route);
            let operation = &paths[&path][route.method];
            assert_eq!(operation["summary"], route.summary);
            for part in path.split('/').filter_map(|p| p.strip_prefix('{')?.strip_suffix('}')) {
                let parameters = operation["parameters"].as_array().unwrap();
                assert!(parameters.iter().any(|p| p["name"] == part && p["in"] == "path"), "{}", route.path);
            }
        }
    }

    #[test]
    fn references_lead_somewhere_and_ids_are_unique() {
        let document = document();
        let text = document.to_string();
        for reference in text.split("\"$ref\":\"#").skip(1) {
            let pointer = reference.split('"').next().unwrap();
            assert!(document.pointer(pointer).is_some(), "{pointer}");
        }
        let ids: std::collections::BTreeSet<String> = ROUTES.iter().map(operation_id).collect();
        assert_eq!(ids.len(), ROUTES.len());
    }

    #[test]
    fn routes_that_answer_by_a_tool_name_one_that_exists() {
        for route in ROUTES {
            if let Shape::Answer(tool) = route.gives {
                assert!(engine::tools::find(tool).is_some_and(engine::Tool::is_read), "{tool}");
            }
        }
    }
}
