//! What clients see of a tool, derived from its types: flat, closed, inlined JSON Schema 2020-12, and the complete
//! MCP tool object as text, each built once per process. Validation of arguments against that same schema lives
//! here too, with messages that never repeat a received value.

use domain::refusal::{Code, Refusal};
use jsonschema::Validator;
use jsonschema::error::ValidationErrorKind;
use schemars::JsonSchema;
use schemars::generate::SchemaSettings;
use serde_json::{Map, Value, json};

use crate::call::{CONCISE, DETAIL, WriteOut};
use crate::tool::{Card, Command, Effects, Query};
use crate::view::Context;

/// The most field errors one refusal lists.
const DETAILS_MAX: usize = 10;

/// How many levels of objects an output schema spells out.
const OUTPUT_LEVELS: u32 = 2;
/// The same for writes, which all answer alike: what they have in common is said short, because it is said by each.
const WRITE_OUTPUT_LEVELS: u32 = 1;
/// A longer list of words is not repeated in outputs; the answer says which one it is.
const OUTPUT_WORDS_MAX: usize = 8;

/// Everything derived from one tool's card and types.
pub struct Derived {
    pub description: String,
    pub input: Value,
    pub output: Value,
    pub listing: String,
    validator: Option<Validator>,
}

pub(crate) fn derive_query<Q: Query>() -> Derived {
    let mut input = input_of::<Q::In>();
    if !Q::LEFT_OUT.is_empty()
        && let Some(properties) = input.get_mut("properties").and_then(Value::as_object_mut)
    {
        let description = "concise: only what tells the items apart. Default: full.";
        let words = json!([CONCISE, "full"]);
        properties
            .insert(DETAIL.into(), json!({ "type": "string", "enum": words, "description": description }));
    }
    derive(&Q::CARD, input, output_of::<Q::Out>(OUTPUT_LEVELS))
}

pub(crate) fn derive_command<C: Command>() -> Derived {
    let mut input = input_of::<C::In>();
    let envelope = input_of::<crate::call::Envelope>();
    merge(&mut input, envelope);
    derive(&C::CARD, input, output_of::<WriteOut>(WRITE_OUTPUT_LEVELS))
}

fn derive(card: &Card, mut input: Value, output: Value) -> Derived {
    let description = match input.as_object_mut().and_then(|o| o.remove("description")) {
        Some(Value::String(text)) => text.replace('\n', " "),
        _ => String::new(),
    };
    let read = card.effects == Effects::Read;
    let listing = json!({
        "name": card.name,
        "title": card.title,
        "description": description,
        "inputSchema": input,
        "outputSchema": output,
        "annotations": {
            "readOnlyHint": read,
            "destructiveHint": false,
            "idempotentHint": true,
            "openWorldHint": false,
        },
    })
    .to_string();
    // A schema that does not compile refuses every call; the catalogue test compiles them all.
    let validator = jsonschema::validator_for(&input).ok();
    Derived { description, input, output, listing, validator }
}

impl Derived {
    /// # Errors
    /// `validation_failed` with one detail per wrong field.
    pub fn validate(&self, arguments: &Value) -> Result<(), Refusal> {
        let Some(validator) = &self.validator else { return Err(Refusal::internal()) };
        if validator.is_valid(arguments) {
            return Ok(());
        }
        let mut refusal = Refusal::new(
            Code::ValidationFailed,
            "the arguments do not fit the tool's input schema",
            "Correct the named fields and call again; the tool's input schema says what each takes.",
        );
        for error in validator.iter_errors(arguments).take(DETAILS_MAX) {
            let (field, message) = explain(error.instance_path().as_str(), error.kind());
            refusal = refusal.detail(field, message);
        }
        Err(refusal)
    }
}

/// Field path and what it must be. Names only what the schema says, never what was received.
fn explain(pointer: &str, kind: &ValidationErrorKind) -> (String, String) {
    let field = dotted(pointer);
    let message = match kind {
        ValidationErrorKind::Required { property } => {
            let name = property.as_str().unwrap_or_default();
            let path = if field.is_empty() { name.to_owned() } else { format!("{field}.{name}") };
            return (path, "is required".into());
        }
        ValidationErrorKind::AdditionalProperties { .. } => "has a member that is not allowed here".into(),
        ValidationErrorKind::Type { kind } => match kind {
            jsonschema::error::TypeKind::Single(one) => format!("must be of type {one}"),
            jsonschema::error::TypeKind::Multiple(_) => "has the wrong type".into(),
        },
        ValidationErrorKind::Enum { options } => format!("must be one of {options}"),
        ValidationErrorKind::MinLength { limit } => format!("must have at least {limit} characters"),
        ValidationErrorKind::MaxLength { limit } => format!("must have at most {limit} characters"),
        ValidationErrorKind::MinItems { limit } => format!("must have at least {limit} entries"),
        ValidationErrorKind::MaxItems { limit } => format!("must have at most {limit} entries"),
        ValidationErrorKind::Minimum { limit } => format!("must be at least {limit}"),
        ValidationErrorKind::Maximum { limit } => format!("must be at most {limit}"),
        _ => "does not fit the schema".into(),
    };
    (if field.is_empty() { "arguments".into() } else { field }, message)
}

/// `/children/0/title` → `children[0].title`.
fn dotted(pointer: &str) -> String {
    let mut out = String::new();
    for part in pointer.split('/').skip(1) {
        if part.bytes().all(|b| b.is_ascii_digit()) && !part.is_empty() {
            out.push('[');
            out.push_str(part);
            out.push(']');
        } else {
            if !out.is_empty() {
                out.push('.');
            }
            // Member names of objects are the schema's own: unknown ones are reported at their parent.
            out.push_str(part);
        }
    }
    out
}

fn generate<T: JsonSchema>(settings: SchemaSettings) -> Value {
    let settings = settings.with(|s| {
        s.inline_subschemas = true;
        s.meta_schema = None;
    });
    settings.into_generator().into_root_schema_for::<T>().to_value()
}

fn input_of<T: JsonSchema>() -> Value {
    let mut schema = generate::<T>(SchemaSettings::draft2020_12().for_deserialize());
    tidy(&mut schema, false);
    if let Some(root) = schema.as_object_mut() {
        root.remove("title");
        root.insert("type".into(), "object".into());
        root.insert("additionalProperties".into(), false.into());
    }
    schema
}

fn output_of<T: JsonSchema>(levels: u32) -> Value {
    let mut schema = generate::<T>(SchemaSettings::draft2020_12().for_serialize());
    let mut context = generate::<Context>(SchemaSettings::draft2020_12().for_serialize());
    tidy(&mut schema, true);
    tidy(&mut context, true);
    shallow(&mut schema, levels);
    shallow(&mut context, 0);
    if let Some(root) = schema.as_object_mut() {
        root.remove("title");
        root.insert("type".into(), "object".into());
        let properties = root.entry("properties").or_insert_with(|| json!({}));
        if let Some(properties) = properties.as_object_mut() {
            if let Some(c) = context.as_object_mut() {
                c.remove("title");
            }
            properties.insert("context".into(), context);
            properties.insert("error".into(), json!({ "type": "object" }));
        }
        // Some clients check the structured content of error results against this schema too. So nothing is required
        // at the root, and the error has its place.
        root.remove("required");
    }
    schema
}

/// Makes a generated schema flat and small: no null alternatives (absent says it), no integer formats, no inner
/// titles; descriptions only where a model reads them (inputs).
fn tidy(schema: &mut Value, output: bool) {
    match schema {
        Value::Object(object) => {
            collapse_null(object);
            collapse_constants(object);
            if let Some(Value::String(format)) = object.get("format")
                && (format.starts_with("uint") || format.starts_with("int"))
            {
                object.remove("format");
            }
            if output {
                object.remove("description");
                if object.get("enum").and_then(Value::as_array).is_some_and(|e| e.len() > OUTPUT_WORDS_MAX) {
                    object.remove("enum");
                }
                object.remove("minimum");
                object.remove("maximum");
            }
            if object.get("default").is_some_and(Value::is_null) {
                object.remove("default");
            }
            for (key, value) in object.iter_mut() {
                if key == "properties" {
                    if let Some(properties) = value.as_object_mut() {
                        properties.values_mut().for_each(|p| tidy(p, output));
                    }
                } else if key != "enum" && key != "const" && key != "default" {
                    tidy(value, output);
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|item| tidy(item, output)),
        _ => {}
    }
}

fn collapse_null(object: &mut Map<String, Value>) {
    if let Some(Value::Array(types)) = object.get_mut("type") {
        types.retain(|t| t != "null");
        if let [only] = types.as_slice() {
            let only = only.clone();
            object.insert("type".into(), only);
        }
    }
    if let Some(Value::Array(options)) = object.get_mut("anyOf") {
        options.retain(|o| o.get("type").is_none_or(|t| t != "null"));
        if let [Value::Object(only)] = options.as_slice() {
            let only = only.clone();
            object.remove("anyOf");
            for (key, value) in only {
                object.entry(key).or_insert(value);
            }
        }
    }
    if let Some(Value::Array(values)) = object.get_mut("enum") {
        values.retain(|v| !v.is_null());
    }
}

/// Variants with comments of their own come as alternatives of constants; an enumeration says the same.
fn collapse_constants(object: &mut Map<String, Value>) {
    let Some(Value::Array(options)) = object.get("oneOf") else { return };
    let words: Option<Vec<Value>> = options
        .iter()
        .map(|option| match (option.get("const"), option.get("enum")) {
            (Some(word), _) => Some(vec![word.clone()]),
            (None, Some(Value::Array(words))) => Some(words.clone()),
            _ => None,
        })
        .collect::<Option<Vec<_>>>()
        .map(|lists| lists.into_iter().flatten().collect());
    if let Some(words) = words {
        object.remove("oneOf");
        object.insert("type".into(), "string".into());
        object.insert("enum".into(), Value::Array(words));
    }
}

/// Objects below `levels` are declared as objects only: the list of tools has a budget, and clients check types, not
/// depth.
fn shallow(schema: &mut Value, levels: u32) {
    let Some(object) = schema.as_object_mut() else { return };
    if object.contains_key("properties") {
        if levels == 0 {
            object.retain(|key, _| key == "type");
            return;
        }
        if let Some(properties) = object.get_mut("properties").and_then(Value::as_object_mut) {
            properties.values_mut().for_each(|p| shallow(p, levels - 1));
        }
    }
    if let Some(items) = object.get_mut("items") {
        shallow(items, levels);
    }
}

fn merge(into: &mut Value, from: Value) {
    let (Some(into), Value::Object(mut from)) = (into.as_object_mut(), from) else { return };
    if let (Some(Value::Object(properties)), Some(Value::Object(more))) =
        (into.get_mut("properties"), from.remove("properties"))
    {
        properties.extend(more);
    }
    if let Some(Value::Array(more)) = from.remove("required")
        && let Some(required) = into.entry("required").or_insert_with(|| json!([])).as_array_mut()
    {
        required.extend(more);
    }
}
