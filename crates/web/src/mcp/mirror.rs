//! Header values that repeat parts of the body, so that gateways can route without reading it: decoding (the base64
//! sentinel) and the comparison of `Mcp-Param-…` headers with the arguments a tool marks by `x-mcp-header`.

use std::borrow::Cow;
use std::collections::HashMap;

use axum::http::{HeaderMap, HeaderName, HeaderValue};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use serde_json::value::RawValue;

use super::error::RpcError;

/// The text of a header value: plain visible ASCII, or `=?base64?…?=` around UTF-8. `None` when it is neither.
pub fn decode(value: &HeaderValue) -> Option<Cow<'_, str>> {
    let text = std::str::from_utf8(value.as_bytes()).ok()?.trim_matches([' ', '\t']);
    if !text.bytes().all(|b| (0x20..=0x7e).contains(&b) || b == b'\t') {
        return None;
    }
    let Some(inner) = text.strip_prefix("=?base64?").and_then(|rest| rest.strip_suffix("?=")) else {
        return Some(Cow::Borrowed(text));
    };
    String::from_utf8(STANDARD.decode(inner).ok()?).ok().map(Cow::Owned)
}

/// The one value of a header. `Ok(None)` when it is absent.
///
/// # Errors
/// -32020 when it occurs twice or cannot be decoded.
pub fn single<'h>(headers: &'h HeaderMap, name: &HeaderName) -> Result<Option<Cow<'h, str>>, RpcError> {
    let mut values = headers.get_all(name).iter();
    let Some(value) = values.next() else { return Ok(None) };
    if values.next().is_some() {
        return Err(RpcError::header("the header occurs more than once", name.as_str()));
    }
    decode(value).map(Some).ok_or_else(|| {
        RpcError::header("the header's value is neither plain ASCII nor valid base64", name.as_str())
    })
}

/// One property that a header must repeat.
#[derive(Debug)]
struct Mirror {
    header: HeaderName,
    path: Vec<String>,
}

/// Which properties of which tool must be repeated, gathered once from the catalogue's schemas.
#[derive(Debug, Default)]
pub struct Mirrors(HashMap<String, Vec<Mirror>>);

impl Mirrors {
    pub fn of_catalogue() -> Mirrors {
        let mut all = Mirrors::default();
        for tool in &engine::tools::ALL {
            all.add(tool.name(), tool.input_schema());
        }
        #[cfg(feature = "conformance")]
        for (name, schema) in super::fixtures::mirrored() {
            all.add(name, schema);
        }
        all
    }

    fn add(&mut self, tool: &str, schema: &Value) {
        let mut found = Vec::new();
        gather(schema, &mut Vec::new(), &mut found);
        if !found.is_empty() {
            self.0.insert(tool.to_owned(), found);
        }
    }

    /// # Errors
    /// -32020 when header and argument are not both absent or both the same.
    pub fn check(
        &self,
        tool: &str,
        arguments: Option<&RawValue>,
        headers: &HeaderMap,
    ) -> Result<(), RpcError> {
        let Some(mirrors) = self.0.get(tool) else { return Ok(()) };
        let arguments: Value =
            arguments.and_then(|raw| serde_json::from_str(raw.get()).ok()).unwrap_or_default();
        for Mirror { header, path } in mirrors {
            let mut value = Some(&arguments);
            for step in path {
                value = value.and_then(|v| v.get(step));
            }
            let sent = single(headers, header)?;
            let same = match (sent, value.filter(|v| !v.is_null())) {
                (None, None) => true,
                (Some(sent), Some(Value::String(text))) => sent == *text,
                (Some(sent), Some(Value::Bool(flag))) => sent == if *flag { "true" } else { "false" },
                (Some(sent), Some(Value::Number(number))) => number.as_i64().map_or_else(
                    || number.as_f64().is_some_and(|n| sent.parse::<f64>() == Ok(n)),
                    |n| sent.parse::<i64>() == Ok(n),
                ),
                _ => false,
            };
            if !same {
                return Err(RpcError::header(
                    "the header does not repeat the argument it stands for",
                    header.as_str(),
                ));
            }
        }
        Ok(())
    }
}

/// Only what is reached through `properties` counts; the revision forbids the mark elsewhere.
fn gather(schema: &Value, path: &mut Vec<String>, found: &mut Vec<Mirror>) {
    let Some(properties) = schema.get("properties").and_then(Value::as_object) else { return };
    for (name, property) in properties {
        path.push(name.clone());
        let mark = property.get("x-mcp-header").and_then(Value::as_str);
        if let Some(header) = mark.and_then(|mark| HeaderName::try_from(format!("mcp-param-{mark}")).ok()) {
            found.push(Mirror { header, path: path.clone() });
        }
        gather(property, path, found);
        path.pop();
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn values_are_decoded_or_refused() {
        for (sent, expected) in [
            ("plain", Some("plain")),
            ("  padded\t", Some("padded")),
            ("inner space", Some("inner space")),
            ("=?base64?w6TDtsO8?=", Some("äöü")),
            ("=?base64??=", Some("")),
            ("=?BASE64?w6Q=?=", Some("=?BASE64?w6Q=?=")),
            ("=?base64?***?=", None),
            ("=?base64?/w==?=", None),
        ] {
            assert_eq!(decode(&HeaderValue::from_str(sent).unwrap()).as_deref(), expected, "{sent}");
        }
        assert_eq!(decode(&HeaderValue::from_bytes("ä".as_bytes()).unwrap()), None);
    }

    #[test]
    fn headers_repeat_arguments() {
        let mut mirrors = Mirrors::default();
        let schema = json!({"type": "object", "properties": {
            "region": {"type": "string", "x-mcp-header": "Region"},
            "page": {"type": "object", "properties": {"size": {"type": "integer", "x-mcp-header": "Size"}}},
        }});
        mirrors.add("t", &schema);
        for (arguments, sent, fits) in [
            ("{}", vec![], true),
            (r#"{"region":"eu"}"#, vec![("mcp-param-region", "eu")], true),
            (r#"{"region":"ä"}"#, vec![("mcp-param-region", "=?base64?w6Q=?=")], true),
            (r#"{"region":"eu"}"#, vec![], false),
            (r#"{"region":null}"#, vec![("mcp-param-region", "eu")], false),
            (r#"{"region":"EU"}"#, vec![("mcp-param-region", "eu")], false),
            (r#"{"region":"eu"}"#, vec![("mcp-param-region", "eu"), ("mcp-param-region", "eu")], false),
            (r#"{"page":{"size":5}}"#, vec![("mcp-param-size", "05")], true),
            (r#"{"page":{"size":5}}"#, vec![("mcp-param-size", "6")], false),
        ] {
            let mut headers = HeaderMap::new();
            for (name, value) in &sent {
                headers.append(*name, HeaderValue::from_str(value).unwrap());
            }
            let raw: &RawValue = serde_json::from_str(arguments).unwrap();
            assert_eq!(mirrors.check("t", Some(raw), &headers).is_ok(), fits, "{arguments} {sent:?}");
            assert!(mirrors.check("other", Some(raw), &headers).is_ok());
        }
    }
}
