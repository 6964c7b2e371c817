//! Any tool over HTTP: by name with its arguments as a JSON body, or a read at an address of its own with arguments
//! from path and query. The same door as MCP; refusals come back as problems instead of results.

use std::collections::HashMap;

use axum::body::Body;
use axum::extract::{Path, RawQuery, Request, State as Shared};
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use domain::refusal::Refusal;
use engine::{Answer, Caller, RequestIds, UnknownTool};
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use crate::access::Access;
use crate::metrics::Called;
use crate::problem::Problem;
use crate::{State, body};

/// `POST /api/v1/tools/{name}`.
pub async fn call(
    Shared(state): Shared<State>,
    Path(name): Path<String>,
    request: Request,
) -> Result<Response, Problem> {
    let (parts, body): (_, Body) = request.into_parts();
    let access = Access::find(&state, &parts).await?;
    let arguments: Box<RawValue> = body::json(&state, &parts.headers, body, &access.ids).await?;
    if !arguments.get().starts_with('{') {
        let refusal = Refusal::invalid("arguments", "must be a JSON object");
        return Err(Problem::new(refusal, &access.ids));
    }
    let Some(tool) = engine::tools::find(&name) else { return Err(no_tool(&access.ids)) };
    if tool.is_read() {
        return run(&state, &access, tool.name(), &arguments).await;
    }
    state.rate.write(&access.actor).map_err(|refusal| Problem::new(refusal, &access.ids))?;
    // A write runs to its end whether or not its caller waits for it.
    let ids = access.ids.clone();
    let (shared, tool) = (state.clone(), tool.name());
    let done = state.tasks.finish(async move { run(&shared, &access, tool, &arguments).await }).await;
    done.unwrap_or_else(|| Err(Problem::internal(&ids)))
}

/// A read tool at an address of its own.
pub async fn read(
    Shared(state): Shared<State>,
    access: Access,
    Path(path): Path<HashMap<String, String>>,
    RawQuery(query): RawQuery,
    tool: &'static str,
    from_path: &'static [(&'static str, &'static str)],
) -> Result<Response, Problem> {
    let fault = || Problem::internal(&access.ids);
    let schema = engine::tools::find(tool).ok_or_else(fault)?.input_schema();
    let mut arguments = from_query(schema, query.as_deref().unwrap_or_default());
    for (part, argument) in from_path {
        if let Some(value) = path.get(*part) {
            arguments.insert((*argument).to_owned(), Value::String(value.clone()));
        }
    }
    let text = serde_json::to_string(&arguments).map_err(|_| fault())?;
    let raw = RawValue::from_string(text).map_err(|_| fault())?;
    run(&state, &access, tool, &raw).await
}

async fn run(
    state: &State,
    access: &Access,
    tool: &'static str,
    arguments: &RawValue,
) -> Result<Response, Problem> {
    let caller: Caller<'_> = access.caller();
    match state.engine.call(caller, tool, arguments).await {
        Ok(answer) => {
            state.metrics.tool(tool, if answer.is_error { Called::Refused } else { Called::Ok });
            if answer.is_error { Err(Problem::of_answer(&answer, &access.ids)) } else { Ok(written(answer)) }
        }
        Err(UnknownTool) => Err(no_tool(&access.ids)),
    }
}

fn written(answer: Answer) -> Response {
    ([(header::CONTENT_TYPE, HeaderValue::from_static("application/json"))], answer.json).into_response()
}

fn no_tool(ids: &RequestIds) -> Problem {
    Problem::new(Refusal::not_found("tool"), ids)
}

/// Arguments written as a query string. The tool's schema says which are numbers, flags or lists (a list takes the
/// name several times, or commas); what does not fit stays text, and the tool's own check says what it must be.
fn from_query(schema: &Value, query: &str) -> Map<String, Value> {
    let mut arguments = Map::new();
    let properties = schema.get("properties");
    for (name, text) in crate::body::query_pairs(query) {
        // The documented word for an action's status in an address.
        let has = |name: &str| properties.is_some_and(|p| p.get(name).is_some());
        let name = if name == "state" && !has("state") && has("status") { "status".to_owned() } else { name };
        let kind = properties.and_then(|p| p.get(&name)).map_or("", kind);
        match kind {
            "array" => {
                let list = arguments.entry(name).or_insert_with(|| Value::Array(Vec::new()));
                if let Value::Array(items) = list {
                    items.extend(
                        text.split(',').filter(|t| !t.is_empty()).map(|t| Value::String(t.to_owned())),
                    );
                }
            }
            "integer" => {
                arguments.insert(name, text.parse::<i64>().map_or(Value::String(text), Value::from));
            }
            "boolean" => {
                arguments.insert(name, text.parse::<bool>().map_or(Value::String(text), Value::from));
            }
            _ => {
                arguments.insert(name, Value::String(text));
            }
        }
    }
    arguments
}

/// The type of a property; an optional one lists `null` beside it.
fn kind(property: &Value) -> &str {
    match property.get("type") {
        Some(Value::String(one)) => one,
        Some(Value::Array(several)) => {
            several.iter().filter_map(Value::as_str).find(|kind| *kind != "null").unwrap_or_default()
        }
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn queries_become_arguments_of_the_schemas_types() {
        let schema = json!({"properties": {
            "status": {"type": "array"}, "limit": {"type": ["integer", "null"]}, "allTeams": {"type": "boolean"},
            "query": {"type": "string"},
        }});
        assert_eq!(
            Value::Object(from_query(&schema, "state=a,b&status=c&limit=5&allTeams=true&query=2%202&odd=1")),
            json!({"status": ["a", "b", "c"], "limit": 5, "allTeams": true, "query": "2 2", "odd": "1"})
        );
        assert_eq!(Value::Object(from_query(&schema, "limit=x")), json!({"limit": "x"}));
        assert!(from_query(&schema, "").is_empty());
    }
}
