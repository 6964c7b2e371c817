//! What the commands about teams share: who may use them, and names and keys that no other team has.

use domain::id::TeamId;
use domain::org::{Team, teams_version, valid_slug};
use domain::permission::Permission;
use domain::record::{RecordType, VersionRead};
use domain::refusal::Refusal;

use crate::tool::Cx;
use crate::work;

/// Refuses everybody who does not manage the organization.
///
/// # Errors
/// `forbidden`.
pub(crate) fn managed(cx: &Cx<'_>) -> Result<(), Refusal> {
    if cx.rights.allows(Permission::OrganizationManage, None) {
        return Ok(());
    }
    Err(Refusal::forbidden(Permission::OrganizationManage))
}

/// That no team was made or changed since these were read: two teams of one name or key, proposed at the same moment,
/// cannot both come about.
pub(crate) fn as_read(teams: &[Team]) -> VersionRead {
    VersionRead::of(RecordType::Team, VersionRead::EVERY_TEAM, teams_version(teams))
}

/// A name that no team but `of` has, ignoring case.
///
/// # Errors
/// `validation_failed`.
pub(crate) fn free_name(teams: &[Team], of: Option<TeamId>, text: &str) -> Result<String, Refusal> {
    let name = work::name("name", text)?;
    let folded = name.to_lowercase();
    if teams.iter().any(|team| Some(team.id) != of && team.name.to_lowercase() == folded) {
        return Err(Refusal::invalid("name", "is the name of another team"));
    }
    Ok(name.to_owned())
}

/// A key that no team but `of` has.
///
/// # Errors
/// `validation_failed`.
pub(crate) fn free_key(teams: &[Team], of: Option<TeamId>, key: &str) -> Result<String, Refusal> {
    if !valid_slug(key) {
        let message = "must be 2 to 40 lower-case letters, digits and inner hyphens";
        return Err(Refusal::invalid("key", message));
    }
    if teams.iter().any(|team| Some(team.id) != of && team.key == key) {
        return Err(Refusal::invalid("key", "is the key of another team"));
    }
    Ok(key.to_owned())
}
