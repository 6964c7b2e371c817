//! Skills (SEP-2640): how to work with this server, as files a client loads when it needs them. They come with the program and
//! say nothing of any organization.

use std::sync::LazyLock;

use domain::digest::Digest;
use serde_json::{Value, json};

use super::icons;

/// The kind of every file.
pub const MIME: &str = "text/markdown";
const DIRECTORY: &str = "inode/directory";
const SCHEME: &str = "skill://";
const ENTRY: &str = "SKILL.md";

/// Path and text of each file.
const FILES: [(&str, &str); 4] = [
    ("review-a-release/SKILL.md", include_str!("skills/review-a-release/SKILL.md")),
    ("review-a-release/references/words.md", include_str!("skills/review-a-release/references/words.md")),
    ("close-evidence-gaps/SKILL.md", include_str!("skills/close-evidence-gaps/SKILL.md")),
    ("build-an-agent/SKILL.md", include_str!("skills/build-an-agent/SKILL.md")),
];

/// A skill: the folder of its entry file.
struct Skill {
    name: &'static str,
    description: &'static str,
}

static SKILLS: LazyLock<Vec<Skill>> = LazyLock::new(|| {
    let entries = FILES.iter().filter(|(path, _)| path.ends_with(ENTRY));
    entries
        .map(|(_, text)| Skill { name: said(text, "name"), description: said(text, "description") })
        .collect()
});

/// A line of the head of an entry file. The heads here have only plain texts of one line.
fn said(text: &'static str, name: &str) -> &'static str {
    let mut lines = text.lines().skip(1).take_while(|line| *line != "---");
    lines.find_map(|line| line.strip_prefix(name)?.strip_prefix(": ")).unwrap_or_default()
}

/// The text of a file.
pub fn file(uri: &str) -> Option<&'static str> {
    let path = uri.strip_prefix(SCHEME)?;
    FILES.iter().find(|(known, _)| *known == path).map(|(_, text)| *text)
}

fn entry(skill: &Skill) -> Value {
    let files = FILES.iter().filter(|(path, _)| path.split('/').next() == Some(skill.name));
    let files: Vec<Value> = files
        .map(|(path, text)| {
            json!({
                "uri": format!("{SCHEME}{path}"),
                "digest": format!("sha256:{}", Digest::of(text.as_bytes())),
                "size": text.len(),
            })
        })
        .collect();
    json!({
        "uri": format!("{SCHEME}{}/{ENTRY}", skill.name),
        "frontmatter": { "name": skill.name, "description": skill.description },
        "resources": files,
    })
}

/// All skills, for `skills/list`.
pub fn list() -> Vec<Value> {
    SKILLS.iter().map(entry).collect()
}

/// One skill by the address of its entry file, for `skills/get`.
pub fn get(uri: &str) -> Option<Value> {
    let name = uri.strip_prefix(SCHEME)?.strip_suffix(ENTRY)?.strip_suffix('/')?;
    SKILLS.iter().find(|skill| skill.name == name).map(entry)
}

/// The entry files, for `resources/list`.
pub fn resources(base: &str) -> Vec<Value> {
    let of = |skill: &Skill| {
        let uri = format!("{SCHEME}{}/{ENTRY}", skill.name);
        let size = file(&uri).map_or(0, str::len);
        json!({
            "uri": uri, "name": skill.name, "title": skill.name.replace('-', " "), "mimeType": MIME,
            "description": skill.description, "size": size, "icons": icons::of(base, "guide"),
        })
    };
    SKILLS.iter().map(of).collect()
}

/// What is directly in a folder, for `resources/directory/read`; `None` where the address is no folder.
pub fn directory(uri: &str) -> Option<Vec<Value>> {
    let folder = uri.strip_prefix(SCHEME)?.trim_end_matches('/');
    let mut children: Vec<Value> = Vec::new();
    for (path, text) in FILES {
        let Some(rest) = path.strip_prefix(folder).and_then(|rest| rest.strip_prefix('/')) else { continue };
        let child = match rest.split_once('/') {
            Some((name, _)) => json!({ "uri": format!("{uri}/{name}"), "name": name, "mimeType": DIRECTORY }),
            None => {
                json!({ "uri": format!("{SCHEME}{path}"), "name": rest, "mimeType": MIME, "size": text.len() })
            }
        };
        if !children.contains(&child) {
            children.push(child);
        }
    }
    (!folder.is_empty() && !children.is_empty()).then_some(children)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_skill_says_what_it_is_for_and_lies_where_its_name_says() {
        assert_eq!(SKILLS.len(), 3);
        for skill in SKILLS.iter() {
            let uri = format!("{SCHEME}{}/{ENTRY}", skill.name);
            assert!(file(&uri).is_some() && !skill.description.is_empty(), "{}", skill.name);
            // A colon with a blank after it would make the line something else than a plain text of YAML.
            assert!(!skill.description.contains(": ") && !skill.description.contains(" #"), "{}", skill.name);
            assert_eq!(get(&uri).unwrap()["uri"], uri);
        }
    }

    #[test]
    fn folders_show_what_is_directly_in_them() {
        let children = directory("skill://review-a-release").unwrap();
        assert_eq!(children.len(), 2);
        assert_eq!(children[1]["mimeType"], DIRECTORY);
        assert_eq!(directory("skill://review-a-release/references").unwrap().len(), 1);
        for none in [
            "skill://review-a-release/SKILL.md",
            "skill://",
            "skill://review",
            "skill://x",
            "loopiq://context",
        ] {
            assert!(directory(none).is_none(), "{none}");
        }
        assert!(get("skill://review-a-release/references/words.md").is_none());
    }

    #[test]
    fn tools_that_skills_name_are_there() {
        for (path, text) in FILES {
            let words = text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
            for tool in words.filter(|word| word.starts_with("loopiq_")) {
                assert!(engine::tools::find(tool).is_some_and(|tool| tool.card.over_mcp), "{path}: {tool}");
            }
        }
    }
}
