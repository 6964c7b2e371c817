//! Plans evidence that a person gives in words: a statement, or the address of something elsewhere. The text is kept as
//! content by its SHA-256, like every evidence; an address is never fetched. Such evidence has no format, its source is
//! the e-mail address of who attached it, and it may not pretend to be what only a tool can make: a test run, a scan,
//! a build, a bill of materials. The certification is evaluated in the same commit.

use domain::certification::{Evidence, EvidenceResult, EvidenceType};
use domain::control::Control;
use domain::digest::Digest;
use domain::effect::Effect;
use domain::id::EvidenceId;
use domain::org::OrgSettings;
use domain::permission::Permission;
use domain::record::{RecordType, VersionRead};
use domain::refusal::Refusal;
use domain::release::Release;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;

use crate::state::State;
use crate::stop::Stop;
use crate::tool::{Asked, Card, Command, Cx, Effects, NewId, Plan};
use crate::work::{self, is_blank, missing_title};
use crate::{limits, resolve};

/// Propose evidence given by hand for a release: a statement (content) or an address (url, never fetched). For files of
/// tools use the evidence upload of the HTTP API. One of the same control, type and title replaces the earlier.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct In {
    /// Id or name.
    #[schemars(length(min = 1, max = 200))]
    pub release: String,
    #[schemars(length(max = 200))]
    pub title: String,
    /// Control (id or code) it is evidence for.
    #[schemars(length(min = 1, max = 200))]
    #[serde(default)]
    pub control_id: Option<String>,
    /// The statement; or give url.
    #[schemars(length(min = 1, max = 16000))]
    #[serde(default)]
    pub content: Option<String>,
    /// http or https.
    #[schemars(length(min = 1, max = 2000))]
    #[serde(default)]
    pub url: Option<String>,
    /// Default manual. It counts for a control that asks for this type.
    #[serde(rename = "type", default)]
    pub evidence_type: Option<ByHand>,
    /// Default informational.
    #[serde(default)]
    pub result: Option<EvidenceResult>,
}

domain::words! {
    /// What a person may attest.
    ByHand {
        Manual = "manual", CodeReview = "code_review", Approval = "approval", ChangeRequest = "change_request",
        Deployment = "deployment", Incident = "incident", Monitoring = "monitoring", WorkItemLink = "work_item_link",
    }
}

impl ByHand {
    const fn evidence_type(self) -> EvidenceType {
        match self {
            ByHand::Manual => EvidenceType::Manual,
            ByHand::CodeReview => EvidenceType::CodeReview,
            ByHand::Approval => EvidenceType::Approval,
            ByHand::ChangeRequest => EvidenceType::ChangeRequest,
            ByHand::Deployment => EvidenceType::Deployment,
            ByHand::Incident => EvidenceType::Incident,
            ByHand::Monitoring => EvidenceType::Monitoring,
            ByHand::WorkItemLink => EvidenceType::WorkItemLink,
        }
    }
}

/// Everything the plan relies on.
pub struct Facts {
    release: Release,
    control: Option<Control>,
    state: Option<State>,
    settings: OrgSettings,
}

pub struct AttachEvidence;

impl Command for AttachEvidence {
    const CARD: Card = Card {
        name: "loopiq_attach_evidence",
        title: "Attach evidence",
        permission: Some(Permission::EvidenceAttach),
        effects: Effects::Write,
        over_mcp: true,
        version: 1,
    };
    type In = In;
    type Facts = Facts;

    fn screen(arguments: &Value) -> Result<(), Refusal> {
        if is_blank(arguments.get("title")) { Err(missing_title("title")) } else { Ok(()) }
    }

    async fn facts(cx: &Cx<'_>, input: &In) -> Result<Facts, Stop> {
        let release = resolve::release(cx, &input.release, Permission::ReleasesRead).await?;
        if !cx.rights.allows(Permission::EvidenceAttach, Some(release.team_id)) {
            return Err(Refusal::forbidden(Permission::EvidenceAttach).into());
        }
        let control = match &input.control_id {
            Some(reference) => Some(resolve::control(cx, reference).await?),
            None => None,
        };
        let state = match resolve::current_certification(cx, release.id).await? {
            Some((certification, _)) => State::load(cx.reader, certification.id).await?,
            None => None,
        };
        Ok(Facts { release, control, state, settings: cx.organization.settings.clone() })
    }

    fn plan(facts: &Facts, input: &In, asked: Asked<'_>, new_id: NewId<'_>) -> Result<Plan, Refusal> {
        let title = work::title("title", &input.title)?;
        let (content, file_name) = content(input)?;
        let record =
            record(facts, input, asked, (title, &content, file_name), EvidenceId::from_uuid(new_id()));
        let replaced = facts.state.iter().flat_map(|s| &s.evidence).filter(|old| replaces(&record, old));
        let replaced: Vec<Effect> = replaced
            .map(|old| Effect::SupersedeEvidence { id: old.id, version: old.version, by: record.id })
            .collect();
        let mut effects = vec![Effect::AttachEvidence { record, content }];
        effects.extend(replaced);
        if let Some(state) = &facts.state {
            let mut state = state.clone();
            state.foresee(&effects);
            effects.extend(state.reconcile(&facts.settings, asked.now, new_id));
        }
        Ok(into_plan(facts, effects))
    }
}

/// What is kept, and the name it has as a file.
fn content(input: &In) -> Result<(String, &'static str), Refusal> {
    match (&input.content, &input.url) {
        (Some(text), None) if text.trim().is_empty() => Err(Refusal::invalid("content", "must not be blank")),
        (Some(text), None) => Ok((text.clone(), "statement.txt")),
        (None, Some(url)) if is_web_address(url) => Ok((url.clone(), "address.txt")),
        (None, Some(_)) => {
            Err(Refusal::invalid("url", "must be an http or https address without name and password in it"))
        }
        _ => Err(Refusal::invalid("content", "give either content or url")),
    }
}

/// Whether a text is an absolute http(s) address that says nothing of who asks for it (RFC 3986, sections 3 and 3.2).
fn is_web_address(text: &str) -> bool {
    let Some((scheme, rest)) = text.split_once("://") else { return false };
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let plain = text.chars().all(|c| !c.is_whitespace() && !c.is_control() && c != '\\');
    let host = !authority.is_empty() && !authority.starts_with(':') && !authority.contains('@');
    (scheme.eq_ignore_ascii_case("http") || scheme.eq_ignore_ascii_case("https")) && host && plain
}

fn record(
    facts: &Facts,
    input: &In,
    asked: Asked<'_>,
    (title, content, file_name): (&str, &str, &str),
    id: EvidenceId,
) -> Evidence {
    let settings = &facts.settings;
    let limit = facts.control.as_ref().and_then(|c| c.requirement.freshness_seconds);
    let lifetime =
        limit.map_or(settings.other_freshness_seconds, |l| l.min(settings.other_freshness_seconds));
    Evidence {
        id,
        release_id: facts.release.id,
        team_id: facts.release.team_id,
        control_id: facts.control.as_ref().map(|c| c.id),
        evidence_type: input.evidence_type.unwrap_or(ByHand::Manual).evidence_type(),
        title: title.to_owned(),
        source: asked.by.email.chars().take(limits::TITLE_CHARS_MAX).collect(),
        format: None,
        tool_version: None,
        result: input.result.unwrap_or(EvidenceResult::Informational),
        metrics: std::collections::BTreeMap::new(),
        notes: Vec::new(),
        collected_at: asked.now,
        valid_until: asked.now.plus_seconds(lifetime),
        sha256: Digest::of(content.as_bytes()).to_string(),
        size_bytes: content.len() as u64,
        file_name: file_name.to_owned(),
        superseded_by: None,
        component_id: None,
        created_at: asked.now,
        created_by: Some(asked.by.user_id),
        version: 1,
    }
}

/// Evidence by hand replaces evidence by hand of the same control, type and title, whoever attached it.
fn replaces(new: &Evidence, old: &Evidence) -> bool {
    old.is_by_hand()
        && old.control_id == new.control_id
        && old.evidence_type == new.evidence_type
        && old.title.to_lowercase() == new.title.to_lowercase()
}

fn into_plan(facts: &Facts, effects: Vec<Effect>) -> Plan {
    use RecordType as T;
    let certification = facts.state.as_ref().map(|s| &s.certification);
    let mut versions = vec![VersionRead::of(T::Release, facts.release.id, facts.release.version)];
    versions.extend(certification.map(|c| VersionRead::of(T::Certification, c.id, c.version)));
    versions.extend(facts.control.as_ref().map(|c| VersionRead::of(T::Control, c.id, c.version)));
    let mut labels = facts.state.as_ref().map(State::labels).unwrap_or_default();
    labels.insert(facts.release.id.to_string(), facts.release.name.clone());
    labels.extend(facts.control.as_ref().map(|c| (c.id.to_string(), c.code.clone())));
    Plan {
        effects,
        versions,
        labels,
        summary: format!("Evidence by hand for {}", facts.release.name),
        team_id: Some(facts.release.team_id),
        release_id: Some(facts.release.id),
        certification_id: certification.map(|c| c.id),
        ..Plan::default()
    }
}

#[cfg(test)]
mod tests {
    use super::is_web_address;

    #[test]
    fn only_plain_web_addresses_are_taken() {
        for good in
            ["https://example.com", "HTTP://a.b:80/c?d=e#f", "https://[::1]/x", "http://localhost/a@b"]
        {
            assert!(is_web_address(good), "{good}");
        }
        for bad in [
            "",
            "example.com",
            "ftp://example.com",
            "javascript:alert(1)",
            "file:///etc/passwd",
            "https://",
            "https:///path",
            "https://u:p@host/",
            "https://host/a b",
            "https://host\\@evil",
            "https://:80/",
            "//host/",
            "http:/host",
            " https://host",
            "data:text/html,x",
        ] {
            assert!(!is_web_address(bad), "{bad}");
        }
    }
}
