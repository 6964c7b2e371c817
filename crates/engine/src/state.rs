//! Everything that the evaluation of one certification looks at, loaded at once, and what must change so that the
//! stored records agree with it.

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
        let controls =
            reader.controls().await?.into_iter().filter(|c| c.framework == certification.framework).collect();
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
}
