//! The arguments of a tool as fields of a form: which fields its schema makes, what a sent form says in them, and what
//! known arguments look like in them. Knows no page and asks nobody.

use serde_json::{Map, Value};

use super::parts::text;

/// Arguments that every write takes and a form does not ask for one by one.
const ENVELOPE: [&str; 7] =
    ["dryRun", "reason", "idempotencyKey", "approvalId", "workflow", "requestId", "traceId"];

/// The longest text that is written on one line.
const LINE_CHARS_MAX: u64 = 400;

/// One field of a form.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Field {
    /// Name in the form: the names of the arguments on the way to it, with dots between.
    pub name: String,
    pub label: String,
    pub help: String,
    pub required: bool,
    pub kind: Kind,
}

/// How a field is filled in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kind {
    Line {
        longest: Option<u64>,
    },
    Text {
        longest: Option<u64>,
    },
    Number,
    /// A moment, in UTC.
    Moment,
    /// Yes, no, or as it is.
    Flag,
    Choice(Vec<String>),
    /// One value a line.
    Lines,
    /// Any of these.
    Several(Vec<String>),
    /// One object a line: its values in this order, with commas between.
    Rows(Vec<String>),
    Group(Vec<Field>),
}

/// The fields of a tool's own arguments, in the order of its schema.
pub fn fields(schema: &Value) -> Vec<Field> {
    below(schema, "")
}

fn below(schema: &Value, path: &str) -> Vec<Field> {
    let required: Vec<&str> = list(schema.get("required")).filter_map(Value::as_str).collect();
    let Some(properties) = schema.get("properties").and_then(Value::as_object) else { return Vec::new() };
    let own = properties.iter().filter(|(name, _)| !(path.is_empty() && ENVELOPE.contains(&name.as_str())));
    own.filter_map(|(name, property)| field(path, name, property, required.contains(&name.as_str())))
        .collect()
}

fn list(value: Option<&Value>) -> impl Iterator<Item = &Value> {
    value.and_then(Value::as_array).into_iter().flatten()
}

fn field(path: &str, name: &str, property: &Value, required: bool) -> Option<Field> {
    let full = if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") };
    let help = property.get("description").and_then(Value::as_str).unwrap_or_default().replace('\n', " ");
    let kind = kind(property, &full)?;
    // What names a record is the record to people.
    let label = text::words(name.strip_suffix("Id").unwrap_or(name));
    Some(Field { label, name: full, help, required, kind })
}

fn words(property: &Value) -> Option<Vec<String>> {
    let words = property.get("enum")?.as_array()?;
    Some(words.iter().filter_map(Value::as_str).map(str::to_owned).collect())
}

fn kind(property: &Value, path: &str) -> Option<Kind> {
    if let Some(words) = words(property) {
        return Some(Kind::Choice(words));
    }
    match property.get("type")?.as_str()? {
        "string" if property.get("format").is_some_and(|format| format == "date-time") => Some(Kind::Moment),
        "string" => {
            let longest = property.get("maxLength").and_then(Value::as_u64);
            let long = longest.is_some_and(|longest| longest > LINE_CHARS_MAX);
            // An address is long, and still one line.
            let line = !long || path.to_ascii_lowercase().ends_with("url");
            Some(if line { Kind::Line { longest } } else { Kind::Text { longest } })
        }
        "integer" => Some(Kind::Number),
        "boolean" => Some(Kind::Flag),
        "object" => Some(Kind::Group(below(property, path))),
        "array" => {
            let items = property.get("items")?;
            if let Some(words) = words(items) {
                return Some(Kind::Several(words));
            }
            match items.get("type")?.as_str()? {
                "string" => Some(Kind::Lines),
                "object" => rows(items),
                _ => None,
            }
        }
        _ => None,
    }
}

/// Objects of a few plain texts fit on a line each; for others a form is no place.
fn rows(items: &Value) -> Option<Kind> {
    let properties = items.get("properties")?.as_object()?;
    let plain = properties.values().all(|property| property.get("type").is_some_and(|kind| kind == "string"));
    let required = list(items.get("required")).count() == properties.len();
    (plain && required).then(|| Kind::Rows(properties.keys().cloned().collect()))
}

/// What a sent form says, as arguments. What was left empty is left out; what does not fit its field stays the text it is,
/// and the tool's own check says what it must be.
pub fn read(fields: &[Field], sent: &[(String, String)]) -> Map<String, Value> {
    let mut arguments = Map::new();
    for field in fields {
        let name = field.name.rsplit('.').next().unwrap_or(&field.name);
        if let Some(value) = value(field, sent) {
            arguments.insert(name.to_owned(), value);
        }
    }
    arguments
}

fn value(field: &Field, sent: &[(String, String)]) -> Option<Value> {
    let mut given = sent.iter().filter(|(name, _)| *name == field.name).map(|(_, text)| text.trim());
    let lines = |text: &str| -> Vec<String> {
        text.lines().map(str::trim).filter(|line| !line.is_empty()).map(str::to_owned).collect()
    };
    match &field.kind {
        Kind::Group(inner) => {
            let inner = read(inner, sent);
            (!inner.is_empty() || field.required).then_some(Value::Object(inner))
        }
        Kind::Several(_) => {
            let chosen: Vec<Value> = given.filter(|text| !text.is_empty()).map(Value::from).collect();
            (!chosen.is_empty()).then_some(Value::Array(chosen))
        }
        kind => {
            let text = given.next().filter(|text| !text.is_empty())?;
            Some(match kind {
                Kind::Number => text.parse::<i64>().map_or_else(|_| Value::from(text), Value::from),
                Kind::Flag => text.parse::<bool>().map_or_else(|_| Value::from(text), Value::from),
                Kind::Moment => Value::from(moment(text)),
                Kind::Lines => Value::from(lines(text)),
                Kind::Rows(names) => Value::Array(lines(text).iter().map(|line| row(names, line)).collect()),
                _ => Value::from(text.replace("\r\n", "\n")),
            })
        }
    }
}

/// What a browser sends for a moment (`2026-12-31T10:00`) is one of UTC.
fn moment(text: &str) -> String {
    match text.len() {
        16 => format!("{text}:00Z"),
        19 => format!("{text}Z"),
        _ => text.to_owned(),
    }
}

fn row(names: &[String], line: &str) -> Value {
    let values = line.split(',').map(|value| Value::from(value.trim()));
    Value::Object(names.iter().cloned().zip(values).collect())
}

/// Known arguments as they stand in the fields.
pub fn fill(fields: &[Field], arguments: &Map<String, Value>) -> Vec<(String, String)> {
    let mut filled = Vec::new();
    for field in fields {
        let name = field.name.rsplit('.').next().unwrap_or(&field.name);
        let Some(value) = arguments.get(name) else { continue };
        let mut put = |text: String| filled.push((field.name.clone(), text));
        match (&field.kind, value) {
            (Kind::Group(inner), Value::Object(arguments)) => filled.extend(fill(inner, arguments)),
            (Kind::Several(_), Value::Array(items)) => items.iter().for_each(|item| put(plain(item))),
            (Kind::Rows(names), Value::Array(items)) => {
                let line = |item: &Value| {
                    let values = names.iter().map(|name| item.get(name).map(plain).unwrap_or_default());
                    values.collect::<Vec<_>>().join(", ")
                };
                put(items.iter().map(line).collect::<Vec<_>>().join("\n"));
            }
            (Kind::Lines, Value::Array(items)) => put(items.iter().map(plain).collect::<Vec<_>>().join("\n")),
            (_, value) => put(plain(value)),
        }
    }
    filled
}

/// Arguments that a form has no field for.
pub fn without_fields(fields: &[Field], arguments: Map<String, Value>) -> Map<String, Value> {
    let has = |name: &str| fields.iter().any(|field| field.name == name) || ENVELOPE.contains(&name);
    arguments.into_iter().filter(|(name, _)| !has(name)).collect()
}

fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn sent(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
        pairs.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect()
    }

    #[test]
    fn a_form_says_what_the_schema_asks_for_and_known_arguments_come_back_as_they_were() {
        let tool = engine::tools::find("loopiq_change_access").unwrap();
        let fields = fields(tool.input_schema());
        assert!(fields.iter().all(|field| !ENVELOPE.contains(&field.name.as_str())));
        let form = sent(&[
            ("member", " linus@acme.example "),
            ("grant.roles", "viewer"),
            ("grant.roles", "contributor"),
            ("grant.teamRoles", "backend, team_lead\r\n\r\npayments,viewer"),
            ("revoke.roles", ""),
            ("csrf", "token"),
        ]);
        let arguments = read(&fields, &form);
        assert_eq!(
            Value::Object(arguments.clone()),
            json!({
                "member": "linus@acme.example",
                "grant": {
                    "roles": ["viewer", "contributor"],
                    "teamRoles": [{ "team": "backend", "role": "team_lead" }, { "team": "payments", "role": "viewer" }],
                },
            })
        );
        assert_eq!(read(&fields, &fill(&fields, &arguments)), arguments);
    }

    #[test]
    fn numbers_flags_and_moments_are_what_they_are() {
        let schema = json!({
            "properties": {
                "count": { "type": "integer" }, "on": { "type": "boolean" },
                "at": { "type": "string", "format": "date-time" },
                "text": { "type": "string", "maxLength": 4000 }, "odd": { "type": "array", "items": { "type": "integer" } },
                "reason": { "type": "string" },
            },
            "required": ["count"],
        });
        let fields = fields(&schema);
        assert_eq!(
            fields.iter().map(|field| field.name.as_str()).collect::<Vec<_>>(),
            ["count", "on", "at", "text"]
        );
        let form = sent(&[("count", "3"), ("on", "false"), ("at", "2026-12-31T10:00"), ("text", "a\r\nb")]);
        let read = read(&fields, &form);
        let wanted = json!({ "count": 3, "on": false, "at": "2026-12-31T10:00:00Z", "text": "a\nb" });
        assert_eq!(Value::Object(read), wanted);
        let odd = sent(&[("count", "three"), ("on", "maybe")]);
        assert_eq!(Value::Object(super::read(&fields, &odd)), json!({ "count": "three", "on": "maybe" }));
    }

    #[test]
    fn every_command_can_be_filled_in_but_for_what_a_form_is_no_place_for() {
        let mut left: Vec<String> = Vec::new();
        for tool in engine::tools::ALL.iter().filter(|tool| !tool.is_read()) {
            let known = fields(tool.input_schema());
            let asked = tool.input_schema()["properties"].as_object().unwrap().keys();
            left.extend(
                asked
                    .filter(|name| !ENVELOPE.contains(&name.as_str()))
                    .filter(|name| !known.iter().any(|field| field.name == **name))
                    .map(|name| format!("{}.{name}", tool.name())),
            );
        }
        let nested =
            ["loopiq_create_remediation_work_package.children", "loopiq_set_identity_provider.groupRoles"];
        assert_eq!(left, nested);
    }
}
