//! A certification as the commands that move it read it: with its release, everything its evaluation looks at, and the
//! settings it is evaluated under.

use domain::id::CertificationId;
use domain::org::OrgSettings;
use domain::permission::Permission;
use domain::record::{RecordType, VersionRead};
use domain::refusal::Refusal;
use domain::release::Release;

use crate::resolve;
use crate::state::State;
use crate::stop::{Fault, Stop};
use crate::tool::Cx;

pub struct Certified {
    pub(crate) release: Release,
    pub(crate) state: State,
    pub(crate) settings: OrgSettings,
}

impl Certified {
    /// The certification, for who may read it and has `permission` for its team.
    pub(crate) async fn load(
        cx: &Cx<'_>,
        id: CertificationId,
        permission: Permission,
    ) -> Result<Certified, Stop> {
        let (certification, release, _) = resolve::certification(cx, Some(id), None).await?;
        if !cx.rights.allows(permission, Some(certification.team_id)) {
            return Err(Refusal::forbidden(permission).into());
        }
        let state = State::load(cx.reader, certification.id)
            .await?
            .ok_or(Fault::Bug("a certification that was just read exists"))?;
        Ok(Certified { release, state, settings: cx.organization.settings.clone() })
    }

    /// # Errors
    /// `version_conflict` when the caller has read another version.
    pub(crate) fn check_version(&self, version: i64) -> Result<(), Refusal> {
        if self.state.certification.version == version {
            return Ok(());
        }
        Err(Refusal::changed_meanwhile("loopiq_get_release_certification"))
    }

    /// What a plan about it relies on.
    pub(crate) fn versions(&self) -> Vec<VersionRead> {
        let certification = &self.state.certification;
        vec![
            VersionRead::of(RecordType::Release, self.release.id, self.release.version),
            VersionRead::of(RecordType::Certification, certification.id, certification.version),
        ]
    }
}
