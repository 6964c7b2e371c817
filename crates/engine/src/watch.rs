//! For clients that follow single records: a number that moves when the record does, for whoever may read it. What has
//! changed is not told; the client reads again, by the ordinary door.

use domain::id::{ActionId, CertificationId, EvidenceId, ReleaseId};
use domain::permission::Permission;

use crate::Engine;
use crate::card::may_see;
use crate::gate::Admitted;
use crate::stop::Fault;
use crate::tool::{Card, Query};
use crate::tools::get_action::GetAction;
use crate::tools::get_release::GetRelease;
use crate::tools::get_release_certification::GetReleaseCertification;
use crate::tools::list_evidence::ListEvidence;

/// A record that can be followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Watched {
    Release(ReleaseId),
    Certification(CertificationId),
    Evidence(EvidenceId),
    Action(ActionId),
}

impl Watched {
    /// The tool whose rules say who may read it.
    const fn card(self) -> Card {
        match self {
            Watched::Release(_) => GetRelease::CARD,
            Watched::Certification(_) => GetReleaseCertification::CARD,
            Watched::Evidence(_) => ListEvidence::CARD,
            Watched::Action(_) => GetAction::CARD,
        }
    }
}

impl Engine {
    /// The version of a record; `None` when it is not there for this caller.
    ///
    /// # Errors
    /// A fault of storage.
    pub async fn mark(&self, actor: &Admitted, watched: Watched) -> Result<Option<i64>, Fault> {
        let card = watched.card();
        if !actor.permits(&card) {
            return Ok(None);
        }
        let org = self.parts.store.org(actor.organization.id).await?;
        let directory = self.parts.store.directory();
        let cx = crate::Cx { rights: actor.rights_for(&card), ..self.cx(actor, &org, &directory) };
        let reads = |permission, team| cx.rights.allows(permission, Some(team));
        Ok(match watched {
            Watched::Release(id) => {
                let found = cx.reader.release(id).await?;
                found.filter(|it| reads(Permission::ReleasesRead, it.team_id)).map(|it| it.version)
            }
            Watched::Certification(id) => {
                let found = cx.reader.certification(id).await?;
                found.filter(|it| reads(Permission::CertificationsRead, it.team_id)).map(|it| it.version)
            }
            Watched::Evidence(id) => {
                let found = cx.reader.evidence(id).await?;
                found.filter(|it| reads(Permission::EvidenceRead, it.team_id)).map(|it| it.version)
            }
            Watched::Action(id) => {
                let found = cx.reader.action(id).await?.map(|stored| stored.action);
                found.filter(|it| may_see(&cx, it)).map(|it| it.version)
            }
        })
    }
}
