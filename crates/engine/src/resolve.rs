//! References of callers (ids or names) to records they may see. Absent, foreign and invisible are one answer.

use std::collections::HashMap;
use std::sync::Arc;

use domain::certification::{Certification, CertificationStatus};
use domain::control::Control;
use domain::id::{CertificationId, ControlId, ReleaseId, TeamId};
use domain::org::Team;
use domain::permission::Permission;
use domain::refusal::Refusal;
use domain::release::Release;
use store::{CertificationFilter, Page, Paged};

use crate::stop::Stop;
use crate::tool::Cx;
use crate::view::{ControlRef, ReleaseRef, TeamRef};

/// The release named by id or, ignoring case, by name.
///
/// # Errors
/// `not_found` when there is none the caller may see under `permission`.
pub async fn release(cx: &Cx<'_>, reference: &str, permission: Permission) -> Result<Release, Stop> {
    let reference = reference.trim();
    let found = match reference.parse::<ReleaseId>() {
        Ok(id) => cx.reader.release(id).await?,
        Err(_) => cx.reader.releases_named(reference).await?.first().cloned(),
    };
    found
        .filter(|r| cx.rights.allows(permission, Some(r.team_id)))
        .ok_or_else(|| Refusal::not_found("release").into())
}

/// The team named by id, name or key, ignoring case, among those the caller may see.
pub async fn team(cx: &Cx<'_>, reference: &str) -> Result<Team, Stop> {
    let reference = reference.trim();
    let folded = reference.to_lowercase();
    let visible = cx.rights.teams_with(Permission::TeamsRead);
    let teams = cx.reader.teams(visible.as_deref()).await?;
    let id = reference.parse::<TeamId>().ok();
    let named =
        |t: &Team| Some(t.id) == id || t.name.to_lowercase() == folded || t.key.to_lowercase() == folded;
    let found = teams.into_iter().find(named).ok_or_else(|| Refusal::not_found("team"))?;
    cx.seen.keep(&found);
    Ok(found)
}

/// A certification by its own id, or the current one of a release: the newest that is not rejected or revoked.
/// The flag says that there were several and one was chosen.
///
/// # Errors
/// `validation_failed` when neither is given, `not_found`, `reference_mismatch` when the two disagree.
pub async fn certification(
    cx: &Cx<'_>,
    certification_id: Option<CertificationId>,
    release_reference: Option<&str>,
) -> Result<(Certification, Release, bool), Stop> {
    let permission = Permission::CertificationsRead;
    if let Some(id) = certification_id {
        let found = cx
            .reader
            .certification(id)
            .await?
            .filter(|c| cx.rights.allows(permission, Some(c.team_id)))
            .ok_or_else(|| Refusal::not_found("certification"))?;
        let release = cx
            .reader
            .release(found.release_id)
            .await?
            .ok_or(crate::stop::Fault::Bug("a certification names a release that does not exist"))?;
        if let Some(reference) = release_reference {
            let named = self::release(cx, reference, permission).await?;
            if named.id != release.id {
                return Err(Refusal::new(
                    domain::refusal::Code::ReferenceMismatch,
                    "the certification does not belong to the release",
                    "Give only one of the two, or look the pair up with loopiq_list_release_certifications.",
                )
                .into());
            }
        }
        return Ok((found, release, false));
    }
    let Some(reference) = release_reference else {
        return Err(Refusal::invalid("release", "give a release (id or name) or a certificationId").into());
    };
    let release = self::release(cx, reference, permission).await?;
    let (chosen, several) = current_certification(cx, release.id)
        .await?
        .ok_or_else(|| Refusal::not_found("certification of this release"))?;
    Ok((chosen, release, several))
}

/// The certification that counts for a release: the newest that is not rejected or revoked, else the newest. The flag
/// says that there are several.
pub async fn current_certification(
    cx: &Cx<'_>,
    release: ReleaseId,
) -> Result<Option<(Certification, bool)>, Stop> {
    let filter = CertificationFilter { release: Some(release), ..CertificationFilter::default() };
    let Paged { items, .. } = cx.reader.certifications(filter, Page { limit: 100, after: None }).await?;
    let several = items.len() > 1;
    let dropped = [CertificationStatus::Rejected, CertificationStatus::Revoked];
    let chosen = items.iter().find(|c| !dropped.contains(&c.status)).or(items.first()).cloned();
    Ok(chosen.map(|c| (c, several)))
}

/// The control named by id or, ignoring case, by code.
pub async fn control(cx: &Cx<'_>, reference: &str) -> Result<Control, Stop> {
    let reference = reference.trim();
    let id = reference.parse::<ControlId>().ok();
    cx.reader
        .controls()
        .await?
        .iter()
        .find(|c| Some(c.id) == id || c.code.eq_ignore_ascii_case(reference))
        .cloned()
        .ok_or_else(|| Refusal::not_found("control").into())
}

/// Names of teams, controls and releases, looked up once per answer.
#[derive(Default)]
pub struct Names {
    teams: Vec<Team>,
    controls: Arc<Vec<Control>>,
    releases: HashMap<ReleaseId, String>,
}

impl Names {
    pub async fn teams(cx: &Cx<'_>) -> Result<Names, Stop> {
        Ok(Names { teams: cx.reader.teams(None).await?, ..Names::default() })
    }
    pub async fn with_controls(mut self, cx: &Cx<'_>) -> Result<Names, Stop> {
        self.controls = cx.reader.controls().await?;
        Ok(self)
    }
    /// Makes sure that the named releases are known.
    pub async fn with_releases(
        mut self,
        cx: &Cx<'_>,
        ids: impl Iterator<Item = ReleaseId>,
    ) -> Result<Names, Stop> {
        for id in ids {
            if let std::collections::hash_map::Entry::Vacant(slot) = self.releases.entry(id)
                && let Some(release) = cx.reader.release(id).await?
            {
                slot.insert(release.name);
            }
        }
        Ok(self)
    }
    pub fn team(&self, id: TeamId) -> TeamRef {
        let name = self.teams.iter().find(|team| team.id == id).map(|team| team.name.clone());
        TeamRef { id, name: name.unwrap_or_default() }
    }
    pub fn control(&self, id: ControlId) -> ControlRef {
        let found = self.controls.iter().find(|control| control.id == id);
        let (code, title) = found.map(|c| (c.code.clone(), c.title.clone())).unwrap_or_default();
        ControlRef { id, code, title }
    }
    pub fn release(&self, id: ReleaseId) -> ReleaseRef {
        ReleaseRef { id, name: self.releases.get(&id).cloned().unwrap_or_default() }
    }
}
