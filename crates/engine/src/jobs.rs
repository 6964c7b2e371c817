//! Background work, each piece safe to repeat: warning of actions nobody decides, ending overdue actions and exceptions, noticing evidence that has become stale,
//! writing the waiting records of reads, signing the heads of logs that have grown. The binary calls [`Engine::run_jobs_once`] on a timer.

use domain::action::Action;
use domain::audit::{AuditKind, AuditReference};
use domain::certification::{CertificationStatus, Exception, ExceptionStatus};
use domain::effect::Effect;
use domain::id::CertificationId;
use domain::org::{OrgSettings, Organization};
use domain::record::RecordType;
use domain::time::Timestamp;
use store::{CertificationFilter, CommitError, Org, Page, StoredAction, Write};

use crate::stop::{Fault, Stop};
use crate::{Engine, ledger, limits, state};

/// Name of the lease under which the work for all is done.
const LEASE: &str = "jobs";

impl Engine {
    /// One round of background work: what this process has to write down itself, and, while it holds the lease, what one
    /// process does for all that share the storage.
    ///
    /// # Errors
    /// The first fault of storage; the next round tries again.
    pub async fn run_jobs_once(&self) -> Result<(), Fault> {
        self.flush_reads().await;
        let now = self.parts.clock.now();
        let until = Timestamp(now.0 + limits::LEASE_MICROSECONDS);
        if !self.parts.store.directory().take_lease(LEASE, &self.parts.node, now, until).await? {
            return Ok(());
        }
        for organization in self.parts.store.directory().organizations().await? {
            let org = self.parts.store.org(organization.id).await?;
            self.parts.store.carry_over(organization.id).await?;
            self.act_on_due(&org, &organization).await?;
            if let Err(Stop::Broken(fault)) = self.end_exceptions(&org, &organization.settings).await {
                return Err(fault);
            }
            if let Err(Stop::Broken(fault)) = self.reevaluate_all(&org, &organization.settings).await {
                return Err(fault);
            }
            // A log that cannot be signed must not keep the others from it, nor from the rest of the work.
            if let Err(fault) = self.seal(&org).await {
                let cause = std::error::Error::source(&fault).map(ToString::to_string).unwrap_or_default();
                tracing::error!(organization = %organization.id, cause, "the log was not signed: {fault}");
            }
        }
        Ok(())
    }

    /// Lets another process take over at once instead of after the lease has run out.
    ///
    /// # Errors
    /// A fault of storage, which leaves the lease to run out.
    pub async fn leave_jobs(&self) -> Result<(), Fault> {
        Ok(self.parts.store.directory().end_lease(LEASE, &self.parts.node).await?)
    }

    /// Does to actions what their time has come for: ends them, lets the rules approve them, tells that nobody has decided.
    async fn act_on_due(&self, org: &Org, organization: &Organization) -> Result<(), Fault> {
        let now = self.parts.clock.now();
        for StoredAction { action, .. } in org.reader().due_actions(now, limits::DUE_SWEEP_MAX).await? {
            if let Ok(expired) = action.expire(now) {
                self.commit_expiry(org, &action, &expired, now).await?;
            } else if let Ok(approved) =
                action.approve_by_rule(now, organization.settings.execution_expiry_seconds)
            {
                self.run_by_rule(org, organization, &action, approved, now).await?;
            } else if let Ok(warned) = action.warn(now) {
                self.commit_warning(org, &action, &warned, now).await?;
            }
        }
        Ok(())
    }

    /// Says of an action, once, that nobody has decided by the time a rule names: in the log, on the card, to webhooks.
    async fn commit_warning(
        &self,
        org: &Org,
        before: &Action,
        warned: &Action,
        now: Timestamp,
    ) -> Result<(), Fault> {
        let mut draft = ledger::automatic(now, AuditKind::Warned, self.parts.ids.next().to_string());
        ledger::name_action(&mut draft, warned);
        let mut write = Write::new();
        write.audit(draft);
        // The receipt of the action stays that of its last decision.
        write.move_action(before, warned, None);
        commit_unless_decided(org, write).await
    }

    /// Ends exceptions whose time has run out. What they named is opened again first, so that a process that dies in
    /// between leaves nothing waived by an exception that has ended.
    async fn end_exceptions(&self, org: &Org, settings: &OrgSettings) -> Result<(), Stop> {
        let now = self.parts.clock.now();
        for ended in org.reader().ended_exceptions(now, limits::EXCEPTION_SWEEP_MAX).await? {
            let filter =
                CertificationFilter { release: Some(ended.release_id), ..CertificationFilter::default() };
            let page = Page { limit: limits::PAGE_SIZE_MAX, after: None };
            let mut settled = true;
            for certification in org.reader().certifications(filter, page).await?.items {
                settled &= self.evaluate_now(org, settings, certification.id).await?;
            }
            if settled {
                self.commit_end(org, ended, now).await?;
            }
        }
        Ok(())
    }

    async fn commit_end(&self, org: &Org, ended: Exception, now: Timestamp) -> Result<(), Stop> {
        let record = Exception { status: ExceptionStatus::Expired, version: ended.version + 1, ..ended };
        let mut draft = ledger::automatic(now, AuditKind::Expired, self.parts.ids.next().to_string());
        draft.tool = Some("end_exception".into());
        draft.references =
            vec![AuditReference { record_type: RecordType::Release, id: record.release_id.to_string() }];
        let effect = Effect::UpdateException { record };
        ledger::name_effects(&mut draft, std::slice::from_ref(&effect));
        let mut write = Write::new();
        write.audit(draft);
        write.effect(&effect);
        match org.commit(write).await {
            Ok(_) | Err(CommitError::Conflict(_)) => Ok(()),
            Err(CommitError::Fault(fault)) => Err(fault.into()),
        }
    }

    async fn commit_expiry(
        &self,
        org: &Org,
        before: &Action,
        expired: &Action,
        now: Timestamp,
    ) -> Result<(), Fault> {
        let mut draft = ledger::automatic(now, AuditKind::Expired, self.parts.ids.next().to_string());
        ledger::name_action(&mut draft, expired);
        let mut write = Write::new();
        let receipt = write.audit(draft);
        write.move_action(before, expired, Some(receipt));
        commit_unless_decided(org, write).await
    }

    /// Re-evaluates every certification that is still open, so that evidence that became stale opens its gap.
    async fn reevaluate_all(&self, org: &Org, settings: &OrgSettings) -> Result<(), Stop> {
        let open = [
            CertificationStatus::CollectingEvidence,
            CertificationStatus::InReview,
            CertificationStatus::Blocked,
        ];
        let mut after: Option<String> = None;
        loop {
            let filter = CertificationFilter { statuses: &open, ..CertificationFilter::default() };
            let page = Page { limit: limits::PAGE_SIZE_MAX, after: after.as_deref() };
            let found = org.reader().certifications(filter, page).await?;
            for certification in &found.items {
                self.reevaluate(org, settings, certification.id).await?;
            }
            match found.next {
                Some(next) => after = Some(next),
                None => return Ok(()),
            }
        }
    }

    /// Evaluates one certification now and commits what has changed, if anything. A concurrent change wins; the
    /// next round looks again.
    pub async fn reevaluate(
        &self,
        org: &Org,
        settings: &OrgSettings,
        id: CertificationId,
    ) -> Result<(), Stop> {
        self.evaluate_now(org, settings, id).await.map(|_| ())
    }

    /// As [`Engine::reevaluate`]; whether the records agree with the evaluation now.
    async fn evaluate_now(
        &self,
        org: &Org,
        settings: &OrgSettings,
        id: CertificationId,
    ) -> Result<bool, Stop> {
        let now = self.parts.clock.now();
        let Some(state) = state::State::load(org.reader(), id).await? else { return Ok(true) };
        let effects = state.reconcile(settings, now, &mut || self.parts.ids.next());
        if effects.is_empty() {
            return Ok(true);
        }
        let mut draft = ledger::automatic(now, AuditKind::Executed, self.parts.ids.next().to_string());
        draft.tool = Some("evaluate_certification".into());
        draft.references =
            vec![AuditReference { record_type: RecordType::Certification, id: id.to_string() }];
        ledger::name_effects(&mut draft, &effects);
        let mut write = Write::new();
        write.audit(draft);
        for effect in &effects {
            write.effect(effect);
        }
        match org.commit(write).await {
            Ok(_) => {
                self.mark_outdated(org, &effects, now).await;
                Ok(true)
            }
            Err(CommitError::Conflict(_)) => Ok(false),
            Err(CommitError::Fault(fault)) => Err(fault.into()),
        }
    }
}

/// Commits what time does to an action. Where somebody decided it at the same moment, theirs counts.
async fn commit_unless_decided(org: &Org, write: Write) -> Result<(), Fault> {
    match org.commit(write).await {
        Ok(_) | Err(CommitError::Conflict(_)) => Ok(()),
        Err(CommitError::Fault(fault)) => Err(fault.into()),
    }
}
