//! Evidence packs are made here: everything that a certification is evaluated from, its original files, the records of the
//! log about it, and the statement, signed with the key of the log. What a pack is and how it is verified is the domain's
//! matter; this module also lends that the importers.

pub mod archive;

use std::collections::{BTreeMap, BTreeSet};

use domain::audit::AuditKind;
use domain::bundle;
use domain::certification::{Certification, Evidence};
use domain::digest::{Digest, canonical_json};
use domain::dsse::Envelope;
use domain::id::{CertificationId, UserId};
use domain::org::OrgSettings;
use domain::pack::check::Reading;
use domain::pack::{self, Inputs, Subjects};
use domain::permission::Permission;
use domain::refusal::{Code, Refusal};
use store::{AuditFilter, Page, Reader};

use crate::certified::Certified;
use crate::evidence::result_of;
use crate::field::Field;
use crate::stop::{Fault, Stop};
use crate::tool::{Cx, Query as _};
use crate::tools::get_release_certification::GetReleaseCertification;
use crate::tools::list_audit_records::ListAuditRecords;
use crate::tools::list_evidence::ListEvidence;
use crate::{Caller, Card, Engine, limits};

/// The name under which exports are recorded.
const TOOL: &str = "export_evidence_pack";

/// What one must be allowed to call: a pack shows what these show.
const SHOWN: [&Card; 3] = [&GetReleaseCertification::CARD, &ListEvidence::CARD, &ListAuditRecords::CARD];

/// What policies may keep from a reader of those. A pack cannot leave anything out and still be verified.
const FIELDS: [Field; 6] = [
    Field::BlockerLocation,
    Field::BlockerComponent,
    Field::EvidenceNotes,
    Field::EvidenceStatement,
    Field::AuditReason,
    Field::AuditEmail,
];

/// Kinds of records that tell how things came about. Reads, previews and refusals changed nothing.
const KINDS: [AuditKind; 9] = [
    AuditKind::Proposed,
    AuditKind::Approved,
    AuditKind::Rejected,
    AuditKind::Executed,
    AuditKind::Failed,
    AuditKind::Expired,
    AuditKind::Administered,
    AuditKind::BrokenGlass,
    AuditKind::Reviewed,
];

/// Whether somebody may export packs at all; of which certifications is another question.
pub fn may_export(actor: &crate::Admitted) -> bool {
    SHOWN.iter().all(|card| actor.permits(card))
}

/// What today's importer reads in an original file, as far as records are made of it.
pub fn read_again(evidence: &Evidence, bytes: &[u8], settings: &OrgSettings) -> Option<Reading> {
    let format = evidence.format.as_deref().and_then(intake::Format::parse);
    let report = intake::read(bytes, format).ok()?;
    let of_provider = report.format != intake::Format::Junit;
    let findings = report.findings.iter().filter(|_| of_provider);
    Some(Reading {
        result: result_of(&report, settings),
        metrics: report.metrics.iter().map(|(name, count)| ((*name).to_owned(), *count)).collect(),
        findings: findings.map(|f| (f.external_id.clone(), f.severity)).collect(),
    })
}

impl Engine {
    /// The evidence pack of a certification, as the bytes of an archive.
    ///
    /// # Errors
    /// `forbidden` without the rights to read certification, evidence and log, or where policies keep parts of them from
    /// the caller; `not_found`; `too_large`.
    pub async fn evidence_pack(&self, caller: Caller<'_>, id: CertificationId) -> Result<Vec<u8>, Refusal> {
        match self.packed(caller, id).await {
            Ok(bytes) => Ok(bytes),
            Err(stop) => Err(self.refuse(caller, TOOL, stop).await),
        }
    }

    async fn packed(&self, caller: Caller<'_>, id: CertificationId) -> Result<Vec<u8>, Stop> {
        let actor = caller.actor;
        if let Some(card) = SHOWN.iter().find(|card| !actor.permits(card)) {
            return Err(actor.refusal(card).into());
        }
        let org = self.parts.store.org(actor.organization.id).await?;
        let directory = self.parts.store.directory();
        let mut cx = self.cx(actor, &org, &directory);
        cx.rights = actor.rights_for(&GetReleaseCertification::CARD);
        let Certified { release, state, settings } =
            Certified::load(&cx, id, Permission::CertificationsRead).await?;
        let team = Some(release.team_id);
        for (card, permission) in [
            (&ListEvidence::CARD, Permission::EvidenceRead),
            (&ListAuditRecords::CARD, Permission::AuditRead),
        ] {
            if !actor.rights_for(card).allows(permission, team) {
                return Err(Refusal::forbidden(permission).into());
            }
        }
        if !FIELDS.iter().all(|field| actor.shows(*field, team) && actor.shows(*field, None)) {
            return Err(kept_back().into());
        }
        let _turn = self.parts.packs.acquire().await.map_err(|_| Fault::Cancelled)?;
        let originals: BTreeMap<&str, u64> =
            state.evidence.iter().map(|e| (e.sha256.as_str(), e.size_bytes)).collect();
        if originals.len() > pack::FILES_MAX || originals.values().sum::<u64>() > pack::EVIDENCE_BYTES_MAX {
            return Err(too_large().into());
        }
        let head = self.seal_now(&org).await?;
        let mut sequences =
            sequences(cx.reader, &state.certification, &state.evidence, &state.exceptions).await?;
        sequences.retain(|sequence| *sequence < head.size);
        let audit = self.bundle_of(cx.organization, cx.reader, &head, &sequences).await?;
        let mut inputs = Inputs {
            format: pack::FORMAT.into(),
            version: pack::VERSION,
            made_by: env!("CARGO_PKG_VERSION").into(),
            organization: bundle::Organization {
                id: cx.organization.id,
                slug: cx.organization.slug.clone(),
                name: cx.organization.name.clone(),
            },
            evaluated_at: cx.now,
            settings,
            certification: state.certification.clone(),
            controls: state.controls.clone(),
            evidence: state.evidence.clone(),
            findings: state.findings.clone(),
            gaps: state.gaps.clone(),
            exceptions: state.exceptions.clone(),
            people: BTreeMap::new(),
        };
        inputs.people = people(&cx, &inputs).await?;
        let (release_bytes, input_bytes) = (canonical_json(&release)?, canonical_json(&inputs)?);
        let subjects = Subjects {
            release: Digest::of(&release_bytes),
            inputs: Digest::of(&input_bytes),
            audit: Digest::of(audit.as_bytes()),
        };
        let statement = pack::statement(&inputs, &release, subjects)?;
        let (key, signer) = self.signer_of(&org, &head).await?;
        let envelope = Envelope::sign(pack::PAYLOAD_TYPE, &statement, &key, &signer);
        let mut archive = archive::Archive::empty();
        archive.add(pack::STATEMENT, &serde_json::to_vec(&envelope)?)?;
        archive.add(pack::RELEASE, &release_bytes)?;
        archive.add(pack::INPUTS, &input_bytes)?;
        archive.add(pack::AUDIT, audit.as_bytes())?;
        for sha256 in originals.keys() {
            let digest = Digest::parse(sha256).ok_or(Fault::Bug("evidence is named by its digest"))?;
            let bytes = cx.blobs.get(&digest).await?.ok_or_else(gone)?;
            archive.add(&pack::evidence_path(sha256), &bytes)?;
        }
        let asked = serde_json::json!({ "certificationId": id }).to_string();
        self.note_read(caller, TOOL, state.evidence.len() as u32, Some(asked)).await;
        Ok(archive.finish()?)
    }
}

fn kept_back() -> Refusal {
    Refusal::new(
        Code::Forbidden,
        "policies keep parts of these records from you, and a pack with parts left out could not be verified",
        "Ask somebody who may see all of them, or an administrator to change the policies that say see:….",
    )
}

fn too_large() -> Refusal {
    Refusal::new(
        Code::TooLarge,
        "the files of this evidence are more than one pack can carry",
        "Push newer, smaller files in their place, or export the audit log and fetch the files one by one.",
    )
}

fn gone() -> Refusal {
    Refusal::new(
        Code::EvidenceUnreadable,
        "an original file of this evidence is no longer in the storage",
        "Push the file again, or restore it from a backup, then export once more.",
    )
}

/// Positions of the records that tell how evidence, exceptions and certification came about, with all records of the actions
/// that did it.
async fn sequences(
    reader: &Reader,
    certification: &Certification,
    evidence: &[Evidence],
    exceptions: &[domain::certification::Exception],
) -> Result<BTreeSet<u64>, Stop> {
    let mut found = BTreeSet::new();
    let mut actions = BTreeSet::new();
    let subjects = evidence.iter().map(|e| e.id.to_string());
    let subjects = subjects.chain(exceptions.iter().map(|e| e.id.to_string()));
    for subject in subjects.chain([certification.id.to_string()]) {
        let mut after: Option<String> = None;
        loop {
            let filter = AuditFilter { subject: Some(&subject), kinds: &KINDS, ..AuditFilter::default() };
            let page = Page { limit: limits::PAGE_SIZE_MAX, after: after.as_deref() };
            let records = reader.audit(filter, page).await?;
            for record in &records.items {
                found.extend(u64::try_from(record.entry.sequence));
                actions.extend(record.entry.action_id);
            }
            after = records.next;
            if after.is_none() || found.len() >= pack::RECORDS_MAX {
                break;
            }
        }
    }
    for action in actions {
        let filter = AuditFilter { action: Some(action), kinds: &KINDS, ..AuditFilter::default() };
        let page = Page { limit: limits::PAGE_SIZE_MAX, after: None };
        let records = reader.audit(filter, page).await?.items;
        found.extend(records.iter().filter_map(|record| u64::try_from(record.entry.sequence).ok()));
    }
    Ok(found)
}

/// E-mail addresses of those whom the inputs name by id.
async fn people(cx: &Cx<'_>, inputs: &Inputs) -> Result<BTreeMap<UserId, String>, Stop> {
    let certification = &inputs.certification;
    let mut ids: BTreeSet<UserId> = certification.reviewers.iter().copied().collect();
    ids.extend(certification.decision.as_ref().map(|decision| decision.by));
    ids.extend(inputs.evidence.iter().filter_map(|e| e.created_by));
    ids.extend(inputs.exceptions.iter().flat_map(|e| [e.proposed_by, e.approved_by]).flatten());
    let members = cx.members().await?;
    let named = members.iter().filter(|member| ids.contains(&member.user_id));
    Ok(named.map(|member| (member.user_id, member.email.clone())).collect())
}
