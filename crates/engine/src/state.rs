//! Everything that the evaluation of one certification looks at, loaded at once, and what must change so that the
//! stored records agree with it.

use std::collections::BTreeMap;

use domain::certification::{Certification, ControlResult, Evidence, EvidenceGap, Exception, Finding};
use domain::control::Control;
use domain::effect::Effect;
use domain::evaluation::{Facts, evaluate, reconcile};
use domain::id::{CertificationId, GapId};
use domain::org::OrgSettings;
use domain::release::Release;
use domain::time::Timestamp;
use store::{EvidenceFilter, ExceptionFilter, FindingFilter, GapFilter, Page, Reader};
use uuid::Uuid;

use crate::limits;
use crate::stop::Stop;

/// Reads all pages of a list, up to the bound of an evaluation.
macro_rules! all_pages {
    ($call:expr) => {{
        let mut items = Vec::new();
        let mut after: Option<String> = None;
        loop {
            let page = Page { limit: limits::PAGE_SIZE_MAX, after: after.as_deref() };
            let found = $call(page).await?;
            items.extend(found.items);
            match found.next {
                Some(next) if items.len() < limits::EVALUATION_RECORDS_MAX => after = Some(next),
                _ => break items,
            }
        }
    }};
}
pub(crate) use all_pages;

/// Everything a certification's evaluation looks at.
#[derive(Clone)]
pub(crate) struct State {
    pub release: Release,
    pub certification: Certification,
    pub controls: Vec<Control>,
    pub evidence: Vec<Evidence>,
    pub findings: Vec<Finding>,
    pub gaps: Vec<EvidenceGap>,
    pub exceptions: Vec<Exception>,
    pub results: Vec<ControlResult>,
}

impl State {
    pub async fn load(reader: &Reader, id: CertificationId) -> Result<Option<State>, Stop> {
        let Some(certification) = reader.certification(id).await? else { return Ok(None) };
        let release_id = certification.release_id;
        let Some(release) = reader.release(release_id).await? else { return Ok(None) };
        let on = Some(release_id);
        let evidence = all_pages!(|page| reader.evidence_page(
            EvidenceFilter { release: on, current_only: true, ..EvidenceFilter::default() },
            page
        ));
        let findings = all_pages!(
            |page| reader.findings(FindingFilter { release: on, ..FindingFilter::default() }, page)
        );
        let gaps = all_pages!(
            |page| reader.gaps(GapFilter { certification: Some(id), ..GapFilter::default() }, page)
        );
        let exceptions = all_pages!(
            |page| reader.exceptions(ExceptionFilter { release: on, ..ExceptionFilter::default() }, page)
        );
        let controls = reader
            .controls()
            .await?
            .iter()
            .filter(|c| c.framework == certification.framework)
            .cloned()
            .collect();
        let results = reader.control_results(id).await?;
        Ok(Some(State { release, certification, controls, evidence, findings, gaps, exceptions, results }))
    }

    /// What must change so that the stored records agree with an evaluation at `now`.
    pub fn reconcile(
        &self,
        settings: &OrgSettings,
        now: Timestamp,
        new_id: &mut dyn FnMut() -> Uuid,
    ) -> Vec<Effect> {
        let facts = Facts {
            settings,
            release_id: self.release.id,
            team_id: self.release.team_id,
            certification: &self.certification,
            controls: &self.controls,
            evidence: &self.evidence,
            findings: &self.findings,
            gaps: &self.gaps,
            exceptions: &self.exceptions,
            results: &self.results,
            now,
        };
        let evaluation = evaluate(&facts);
        reconcile(&facts, &evaluation, &mut || GapId::from_uuid(new_id()))
    }

    /// Names for the ids that effects of an evaluation mention.
    pub fn labels(&self) -> BTreeMap<String, String> {
        let code = |id| self.controls.iter().find(|c| c.id == id).map_or("a control", |c| c.code.as_str());
        let mut labels = BTreeMap::from([
            (self.release.id.to_string(), self.release.name.clone()),
            (self.certification.id.to_string(), self.certification.title.clone()),
        ]);
        labels.extend(self.controls.iter().map(|c| (c.id.to_string(), c.code.clone())));
        labels.extend(
            self.gaps
                .iter()
                .map(|g| (g.id.to_string(), format!("{} evidence for {}", g.reason, code(g.control_id)))),
        );
        labels.extend(
            self.findings.iter().map(|f| (f.id.to_string(), format!("{} by {}", f.rule, f.provider))),
        );
        labels
    }

    /// Applies planned effects to what was loaded, so that the evaluation in the same commit sees them.
    pub fn foresee(&mut self, effects: &[Effect]) {
        for effect in effects {
            match effect {
                Effect::CreateEvidence { record } | Effect::AttachEvidence { record, .. } => {
                    self.evidence.push(record.clone());
                }
                Effect::SupersedeEvidence { id, by, .. } => {
                    for old in self.evidence.iter_mut().filter(|e| e.id == *id) {
                        old.superseded_by = Some(*by);
                        old.version += 1;
                    }
                }
                Effect::CreateFinding { record } => self.findings.push(record.clone()),
                Effect::MoveFinding { id, to, blocking, evidence_id, last_seen_at, .. } => {
                    for finding in self.findings.iter_mut().filter(|f| f.id == *id) {
                        finding.status = *to;
                        finding.blocking = *blocking;
                        finding.evidence_id = *evidence_id;
                        finding.last_seen_at = *last_seen_at;
                        finding.version += 1;
                    }
                }
                Effect::CreateException { record } => self.exceptions.push(record.clone()),
                _ => {}
            }
        }
        self.evidence.retain(|e| e.superseded_by.is_none());
    }

    /// Changes the certification and evaluates it: everything that follows from the change, and the change itself.
    pub fn advance(
        &mut self,
        settings: &OrgSettings,
        now: Timestamp,
        new_id: &mut dyn FnMut() -> Uuid,
        change: impl FnOnce(&mut Certification),
    ) -> Vec<Effect> {
        let stored = self.certification.clone();
        change(&mut self.certification);
        let mut effects = self.reconcile(settings, now, new_id);
        let before = Box::new(stored);
        let update = effects.iter_mut().find_map(|effect| match effect {
            Effect::UpdateCertification { was, .. } => Some(was),
            _ => None,
        });
        match update {
            Some(was) => *was = before,
            None if self.certification != *before => {
                let mut record = self.certification.clone();
                record.version += 1;
                record.updated_at = now;
                effects.push(Effect::UpdateCertification { was: before, record });
            }
            None => {}
        }
        effects
    }
}
