//! The catalogue as clients see it: golden tool lists, budgets, and rules every tool keeps.

use engine::tool::Tool;
use engine::tools::ALL;
use serde_json::Value;

/// The whole `tools/list` of the widest role must stay below this.
const LIST_BYTES_MAX: usize = 60_000;
/// What a model reads before it can choose: names, descriptions and input schemas of the widest role. Counted with the
/// `o200k_base` encoding; other models' encodings differ by some percent.
const LIST_TOKENS_MAX: usize = 8_000;
const TOOLS_MAX: usize = 25;
const NAME_CHARS_MAX: usize = 64;

/// What the widest role is offered over MCP.
fn offered() -> impl Iterator<Item = &'static Tool> {
    ALL.iter().filter(|tool| tool.card.over_mcp)
}

#[test]
fn every_tool_is_described_closed_and_has_object_schemas() {
    assert!(offered().count() <= TOOLS_MAX);
    for tool in &ALL {
        let name = tool.name();
        assert!(name.starts_with("loopiq_") && name.len() <= NAME_CHARS_MAX, "{name}");
        assert!(!tool.description().is_empty(), "{name} has no description");
        let input = tool.input_schema();
        assert_eq!(input["type"], "object", "{name}");
        assert_eq!(input["additionalProperties"], false, "{name}");
        closed(name, input);
        let output = tool.output_schema();
        assert_eq!(output["type"], "object", "{name}");
        assert!(output["properties"]["context"].is_object(), "{name} declares no context");
        let text = serde_json::to_string(&serde_json::json!([input, output])).unwrap();
        for banned in ["\"$ref\"", "\"oneOf\"", "\"allOf\"", "\"if\"", "\"anyOf\""] {
            assert!(!text.contains(banned), "{name} uses {banned}, which several model APIs refuse");
        }
        jsonschema::validator_for(input).unwrap();
        jsonschema::validator_for(output).unwrap();
    }
}

/// Every object of an input schema is closed.
fn closed(name: &str, schema: &Value) {
    if let Some(object) = schema.as_object() {
        if object.contains_key("properties") {
            assert_eq!(object.get("additionalProperties"), Some(&Value::Bool(false)), "{name}: {schema}");
        }
        object.values().for_each(|v| closed(name, v));
    }
}

#[test]
fn the_first_tool_needs_no_arguments() {
    let first = ALL.first().unwrap();
    assert_eq!(first.name(), "loopiq_get_context");
    assert!(first.input_schema().get("required").is_none());
}

#[test]
fn every_file_in_the_tools_folder_is_in_the_catalogue() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src/tools");
    let mut files: Vec<String> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name != "mod.rs" && name != "page.rs")
        .map(|name| format!("loopiq_{}", name.trim_end_matches(".rs")))
        .collect();
    files.sort();
    let mut names: Vec<String> = ALL.iter().map(|tool| tool.name().to_owned()).collect();
    names.sort();
    assert_eq!(files, names);
}

#[test]
fn the_list_stays_within_its_budgets() {
    let list: usize = offered().map(|tool| tool.listing().len() + 1).sum();
    assert!(list <= LIST_BYTES_MAX, "the tool list has {list} bytes");
    let encoding = tiktoken_rs::o200k_base().unwrap();
    let tokens: usize = offered()
        .map(|tool| {
            let input = serde_json::to_string(tool.input_schema()).unwrap();
            [tool.name(), tool.description(), &input].map(|text| encoding.encode_ordinary(text).len())
        })
        .map(|counts| counts.iter().sum::<usize>())
        .sum();
    println!("{list} bytes; {tokens} tokens for names, descriptions and input schemas");
    assert!(tokens <= LIST_TOKENS_MAX, "what a model reads has {tokens} tokens");
}

#[test]
fn the_list_is_the_golden_one() {
    let mut list = String::new();
    for tool in offered() {
        let pretty: Value = serde_json::from_str(tool.listing()).unwrap();
        list.push_str(&serde_json::to_string_pretty(&pretty).unwrap());
        list.push('\n');
    }
    testkit::golden::check(env!("CARGO_MANIFEST_DIR"), "tools-list.json", &list);
}
