//! Plans the refreshing of a release's evidence: the sources are asked again, evidence that says something else now is
//! replaced, freshness and certification are evaluated anew. Says for each provider what came of it; one whose source
//! has nothing does not stop the others.

use std::collections::BTreeSet;

use domain::action::{Note, NoteCode};
use domain::certification::{Evidence, Finding};
use domain::effect::Effect;
use domain::id::EvidenceId;
use domain::org::OrgSettings;
use domain::permission::Permission;
use domain::record::{RecordType, VersionRead};
use domain::refusal::{Code, Refusal};
use domain::release::Release;
use domain::time::Timestamp;
use intake::Report;
use schemars::JsonSchema;
use serde::Deserialize;

use crate::evidence::{findings, result_of};
use crate::resolve;
use crate::sources::{self, Collected};
use crate::state::State;
use crate::stop::Stop;
use crate::tool::{Asked, Card, Command, Cx, Effects, NewId, Plan};

/// Propose to refresh the evidence of a release: stored originals are read again, freshness and the certification are
/// evaluated anew. notes say for each provider what came of it; newer files come in by push only, so far.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct In {
    /// Id or name.
    #[schemars(length(min = 1, max = 200))]
    pub release: String,
    /// Only these, as evidence names its source.
    #[schemars(length(max = 20))]
    #[serde(default)]
    pub providers: Vec<String>,
}

/// Everything the plan relies on.
pub struct Facts {
    release: Release,
    state: State,
    collected: Vec<Collected>,
    settings: OrgSettings,
}

pub struct RefreshReleaseEvidence;

impl Command for RefreshReleaseEvidence {
    const CARD: Card = Card {
        name: "loopiq_refresh_release_evidence",
        title: "Refresh release evidence",
        permission: Some(Permission::EvidenceRefresh),
        effects: Effects::Write,
        over_mcp: true,
        version: 1,
    };
    type In = In;
    type Facts = Facts;

    async fn facts(cx: &Cx<'_>, input: &In) -> Result<Facts, Stop> {
        let (certification, release, _) = resolve::certification(cx, None, Some(&input.release)).await?;
        if !cx.rights.allows(Permission::EvidenceRefresh, Some(release.team_id)) {
            return Err(Refusal::forbidden(Permission::EvidenceRefresh).into());
        }
        let state = State::load(cx.reader, certification.id)
            .await?
            .ok_or_else(|| Refusal::not_found("certification of this release"))?;
        let collected = sources::collect(cx, &state.evidence, &input.providers).await?;
        Ok(Facts { release, state, collected, settings: cx.organization.settings.clone() })
    }

    fn plan(facts: &Facts, input: &In, asked: Asked<'_>, new_id: NewId<'_>) -> Result<Plan, Refusal> {
        if facts.collected.iter().all(|c| c.pieces.is_empty()) {
            return Err(nothing_to_ask(input));
        }
        let mut state = facts.state.clone();
        let mut effects = Vec::new();
        let mut notes = Vec::new();
        for collected in &facts.collected {
            let mut changed = 0;
            for piece in &collected.pieces {
                let known = known(&state, &piece.evidence, &piece.report);
                if !says_something_else(&piece.evidence, &piece.report, &known, &facts.settings) {
                    continue;
                }
                changed += 1;
                let new = reread(&piece.evidence, &piece.report, &facts.settings, asked, new_id);
                let mut again = vec![
                    Effect::CreateEvidence { record: new.clone() },
                    Effect::SupersedeEvidence {
                        id: piece.evidence.id,
                        version: piece.evidence.version,
                        by: new.id,
                    },
                ];
                again.extend(findings(&facts.settings, asked.now, &new, &piece.report, &known, new_id));
                state.foresee(&again);
                effects.extend(again);
            }
            notes.push(note(collected, changed));
        }
        let now: Timestamp = asked.now;
        effects.extend(state.advance(&facts.settings, now, new_id, |c| c.evidence_refreshed_at = Some(now)));
        Ok(into_plan(facts, effects, notes))
    }
}

fn nothing_to_ask(input: &In) -> Refusal {
    let refusal = Refusal::new(
        Code::ProviderUnavailable,
        "no source has anything for this release",
        "Push the files again with loopiq evidence push; providers cannot be asked by the server so far.",
    );
    let message = "no stored file can be read, and no source is configured";
    if input.providers.is_empty() {
        return refusal.detail("release", message);
    }
    (0..input.providers.len()).fold(refusal, |r, index| r.detail(format!("providers[{index}]"), message))
}

/// Findings that a report may be about: those it showed before, and those of its provider that it names.
fn known(state: &State, evidence: &Evidence, report: &Report) -> Vec<Finding> {
    let named: BTreeSet<&str> = report.findings.iter().map(|f| f.external_id.as_str()).collect();
    let about = |f: &&Finding| {
        f.provider == evidence.source
            && (f.evidence_id == evidence.id || named.contains(f.external_id.as_str()))
    };
    state.findings.iter().filter(about).cloned().collect()
}

/// Whether today's reading differs from what is stored.
fn says_something_else(
    evidence: &Evidence,
    report: &Report,
    known: &[Finding],
    settings: &OrgSettings,
) -> bool {
    let metrics = report.metrics.iter().map(|(name, count)| ((*name).to_owned(), *count)).collect();
    if evidence.result != result_of(report, settings)
        || evidence.metrics != metrics
        || evidence.notes != report.notes
        || evidence.tool_version != report.tool_version
    {
        return true;
    }
    let by_tests = report.format == intake::Format::Junit;
    !by_tests && report.findings.iter().any(|f| known.iter().all(|k| k.external_id != f.external_id))
}

/// The same file, collected when it was, as it is read today.
fn reread(
    old: &Evidence,
    report: &Report,
    settings: &OrgSettings,
    asked: Asked<'_>,
    new_id: NewId<'_>,
) -> Evidence {
    Evidence {
        id: EvidenceId::from_uuid(new_id()),
        tool_version: report.tool_version.clone(),
        result: result_of(report, settings),
        metrics: report.metrics.iter().map(|(name, count)| ((*name).to_owned(), *count)).collect(),
        notes: report.notes.clone(),
        created_at: asked.now,
        created_by: Some(asked.by.user_id),
        version: 1,
        ..old.clone()
    }
}

fn note(collected: &Collected, changed: usize) -> Note {
    let about = Some(collected.provider.clone()).filter(|name| !name.is_empty());
    let read = collected.pieces.len();
    let missing = match collected.missing {
        0 => String::new(),
        n => format!(" {n} stored file(s) could not be read."),
    };
    let (code, text) = match (read, changed) {
        (0, _) => (
            NoteCode::ProviderUnavailable,
            format!("Nothing could be collected: no source is configured.{missing}"),
        ),
        (_, 0) => (
            NoteCode::Unchanged,
            format!("{read} stored file(s) were read again and say the same.{missing} {NO_SOURCE}"),
        ),
        _ => (
            NoteCode::Changed,
            format!(
                "{read} stored file(s) were read again, {changed} say something else now.{missing} {NO_SOURCE}"
            ),
        ),
    };
    Note { about, code, text }
}

const NO_SOURCE: &str = "No source is configured that newer ones could be fetched from.";

fn into_plan(facts: &Facts, effects: Vec<Effect>, notes: Vec<Note>) -> Plan {
    let certification = &facts.state.certification;
    Plan {
        effects,
        versions: vec![
            VersionRead::of(RecordType::Release, facts.release.id, facts.release.version),
            VersionRead::of(RecordType::Certification, certification.id, certification.version),
        ],
        labels: facts.state.labels(),
        summary: format!("Refresh the evidence of {}", facts.release.name),
        notes,
        team_id: Some(facts.release.team_id),
        release_id: Some(facts.release.id),
        certification_id: Some(certification.id),
        ..Plan::default()
    }
}
