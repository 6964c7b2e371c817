//! What an action does outside of the organization's own database: bytes and accounts that must be there before its records
//! name them, and the directory that is told afterwards of what was written down for it.

use domain::action::{Action, ActionState};
use domain::directory::DirectoryChange;
use domain::effect::Effect;
use domain::org::User;
use domain::refusal::{Code, Refusal};
use store::Org;

use crate::Engine;
use crate::stop::{Fault, Stop};

impl Engine {
    /// Makes, before an executed action is committed, what its records will name: whoever finds such a record finds it. It
    /// does no harm when the commit then fails: bytes are kept by their digest, and an account without a membership may
    /// nothing.
    ///
    /// # Errors
    /// `version_conflict` when somebody else has made an account of the same e-mail.
    pub(crate) async fn prepare(&self, org: &Org, action: &Action) -> Result<(), Stop> {
        for effect in action.effects.iter().filter(|_| action.state == ActionState::Executed) {
            match effect {
                Effect::AttachEvidence { record, content } => {
                    let kept = org.blobs().put(content.as_bytes()).await?;
                    if kept.to_string() != record.sha256 {
                        return Err(Fault::Bug("a blob's name is its digest").into());
                    }
                }
                Effect::ChangeDirectory { change } => {
                    if let DirectoryChange::Member { account, new_account: true, .. } = &**change {
                        self.make_account(account).await?;
                    }
                }
                _ => {}
            }
        }
        Ok(())
    }

    async fn make_account(&self, account: &User) -> Result<(), Stop> {
        let directory = self.parts.store.directory();
        match directory.create_user(account, None).await {
            Err(store::Fault::Duplicate { .. }) => {
                // Perhaps by an earlier attempt at this very action.
                if directory.user(account.id).await?.is_some() {
                    return Ok(());
                }
                Err(Refusal::new(
                    Code::VersionConflict,
                    "somebody has made an account of this e-mail meanwhile",
                    "Propose it again with a new idempotencyKey.",
                )
                .into())
            }
            done => Ok(done?),
        }
    }

    /// Carries over to the directory what an executed action has written down for it, so that it is in force when its
    /// outcome is told. What fails here is logged and carried over by the background work.
    pub(crate) async fn carry_over(&self, action: &Action) {
        let changes = |effect: &Effect| matches!(effect, Effect::ChangeDirectory { .. });
        if action.state != ActionState::Executed || !action.effects.iter().any(changes) {
            return;
        }
        if let Err(fault) = self.parts.store.carry_over(action.organization_id).await {
            tracing::error!(action = %action.id, "the directory was not told yet: {fault}");
        }
    }
}
