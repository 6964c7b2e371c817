//! Prompts: the agents that people begin with, as texts a client offers by name. A prompt has no powers: it says which tools
//! to call in which order, and its arguments are texts that the person chose. Listed are those whose tools the caller may use.

use serde_json::{Map, Value, json};

use super::error::RpcError;
use super::icons;
use super::resources::Listed;
use super::server::Context;

/// Characters of one argument.
const ARGUMENT_CHARS_MAX: usize = 200;

/// An argument of a prompt.
pub struct Argument {
    pub name: &'static str,
    title: &'static str,
    description: &'static str,
}

const RELEASE: Argument =
    Argument { name: "release", title: "Release", description: "Name or id, for example backend-v1.0-GCN." };
const CERTIFICATION: Argument =
    Argument { name: "certification", title: "Certification", description: "Id of the certification." };
const TEAM: Argument = Argument { name: "team", title: "Team", description: "Name or id of the team." };

/// One prompt. All of its arguments are required: each prompt is about one thing.
pub struct Prompt {
    pub name: &'static str,
    title: &'static str,
    description: &'static str,
    pub argument: Argument,
    /// Tools without which it makes no sense.
    needs: &'static [&'static str],
    text: &'static str,
}

macro_rules! prompt {
    ($name:literal, $title:literal, $argument:expr, $needs:expr, $description:literal) => {
        Prompt {
            name: $name,
            title: $title,
            description: $description,
            argument: $argument,
            needs: &$needs,
            text: include_str!(concat!("prompts/", $name, ".md")),
        }
    };
}

const CERTIFICATION_TOOL: &str = "loopiq_get_release_certification";
const GAPS: &str = "loopiq_list_evidence_gaps";
const BLOCKERS: &str = "loopiq_list_provider_blockers";

/// All prompts, in the order clients see them.
static ALL: [Prompt; 8] = [
    prompt!(
        "release_readiness_copilot",
        "Release readiness copilot",
        RELEASE,
        [CERTIFICATION_TOOL, GAPS, BLOCKERS],
        "Is this release ready, what blocks it, and what is the smallest set of steps?"
    ),
    prompt!(
        "evidence_gap_reviewer",
        "Evidence gap reviewer",
        RELEASE,
        [GAPS, "loopiq_list_evidence"],
        "Go through the evidence gaps of a release and say for each what would close it."
    ),
    prompt!(
        "security_blocker_summarizer",
        "Security blocker summarizer",
        RELEASE,
        [BLOCKERS, "loopiq_list_risks"],
        "Summarize the security blockers of a release by provider and component."
    ),
    prompt!(
        "sprint_planning_assistant",
        "Sprint planning assistant",
        TEAM,
        ["loopiq_list_work_items", GAPS],
        "Plan a team's next sprint from open work, gaps and planned releases."
    ),
    prompt!(
        "incident_triage_assistant",
        "Incident triage assistant",
        RELEASE,
        ["loopiq_get_release", BLOCKERS],
        "Look into an incident that may concern a release: what changed, and would a rollback help?"
    ),
    prompt!(
        "compliance_evidence_packager",
        "Compliance evidence packager",
        CERTIFICATION,
        [CERTIFICATION_TOOL, "loopiq_list_audit_records"],
        "Put together the evidence of a certification for an auditor, control by control."
    ),
    prompt!(
        "analytics_dashboard_assistant",
        "Analytics dashboard assistant",
        TEAM,
        ["loopiq_list_releases", "loopiq_list_actions"],
        "Report how release governance goes for a team, in figures with their source."
    ),
    prompt!(
        "remediation_work_package_creator",
        "Remediation work package creator",
        RELEASE,
        ["loopiq_create_remediation_work_package"],
        "Group what blocks a release into one story with tasks, preview it, and propose it for approval."
    ),
];

/// The prompt of this name, for this caller.
pub fn find(cx: &Context<'_>, name: &str) -> Option<&'static Prompt> {
    ALL.iter().find(|prompt| prompt.name == name && prompt.is_for(cx))
}

impl Prompt {
    fn is_for(&self, cx: &Context<'_>) -> bool {
        self.needs.iter().all(|tool| cx.may(tool))
    }
}

pub fn list(cx: &Context<'_>) -> Listed {
    let base = cx.state.settings.base();
    let of = |prompt: &Prompt| {
        let Argument { name, title, description } = prompt.argument;
        json!({
            "name": prompt.name, "title": prompt.title, "description": prompt.description,
            "arguments": [{ "name": name, "title": title, "description": description, "required": true }],
            "icons": icons::of(base, "guide"),
        })
    };
    Listed::whole(ALL.iter().filter(|prompt| prompt.is_for(cx)).map(of).collect())
}

/// The messages of a prompt with its argument put in.
///
/// # Errors
/// -32602 for a prompt that is not there for this caller, and for arguments it does not take.
pub fn get(cx: &Context<'_>, name: &str, arguments: &Map<String, Value>) -> Result<Value, RpcError> {
    let prompt = find(cx, name).ok_or_else(|| {
        RpcError::not_there(
            "there is no prompt of this name for you",
            "unknown_prompt",
            "Ask prompts/list which prompts there are.",
        )
    })?;
    let wanted = prompt.argument.name;
    let value = arguments.get(wanted).and_then(Value::as_str).map(str::trim);
    let fits = |value: &&str| {
        !value.is_empty()
            && value.chars().count() <= ARGUMENT_CHARS_MAX
            && !value.chars().any(char::is_control)
    };
    let value = value.filter(fits).ok_or_else(|| RpcError::params(vec![wanted]))?;
    if arguments.len() > 1 {
        return Err(RpcError::params(vec!["arguments"]));
    }
    // A name, in quotation marks, so that it cannot be read as more of the text.
    let named = Value::from(value).to_string();
    let text = prompt.text.replace(&format!("{{{wanted}}}"), &named);
    Ok(json!({
        "description": prompt.description,
        "messages": [{ "role": "user", "content": { "type": "text", "text": text } }],
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prompts_name_tools_that_are_there_and_their_own_argument() {
        for prompt in &ALL {
            for tool in prompt.needs {
                assert!(engine::tools::find(tool).is_some(), "{}: {tool}", prompt.name);
            }
            let called = prompt.text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
            for tool in called.filter(|word| word.starts_with("loopiq_")) {
                assert!(
                    engine::tools::find(tool).is_some_and(|tool| tool.card.over_mcp),
                    "{}: {tool}",
                    prompt.name
                );
            }
            assert_eq!(prompt.text.matches('{').count(), 1, "{}", prompt.name);
            assert!(prompt.text.contains(&format!("{{{}}}", prompt.argument.name)), "{}", prompt.name);
        }
    }
}
