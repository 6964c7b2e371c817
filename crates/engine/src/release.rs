//! What all writes of a release share: finding it for who may manage it, its components, and names that are taken.

use std::collections::BTreeMap;

use domain::org::Component;
use domain::permission::Permission;
use domain::refusal::Refusal;
use domain::release::Release;

use crate::resolve;
use crate::stop::Stop;
use crate::tool::Cx;

/// The release named by id or name, for who may manage it.
pub(crate) async fn managed(cx: &Cx<'_>, reference: &str) -> Result<Release, Stop> {
    let release = resolve::release(cx, reference, Permission::ReleasesRead).await?;
    if !cx.rights.allows(Permission::ReleasesManage, Some(release.team_id)) {
        return Err(Refusal::forbidden(Permission::ReleasesManage).into());
    }
    Ok(release)
}

/// The components named by ids or, ignoring case, by names; each once.
pub(crate) async fn components(cx: &Cx<'_>, references: &[String]) -> Result<Vec<Component>, Stop> {
    if references.is_empty() {
        return Ok(Vec::new());
    }
    let known = cx.reader.components().await?;
    let mut found: Vec<Component> = Vec::with_capacity(references.len());
    for (index, reference) in references.iter().map(|r| r.trim()).enumerate() {
        let id = reference.parse().ok();
        let folded = reference.to_lowercase();
        let component = known.iter().find(|c| Some(c.id) == id || c.name.to_lowercase() == folded);
        let component = component.ok_or_else(|| {
            Refusal::invalid(format!("components[{index}]"), "must be a component of the organization")
        })?;
        if !found.iter().any(|other| other.id == component.id) {
            found.push(component.clone());
        }
    }
    Ok(found)
}

pub(crate) fn name_taken() -> Refusal {
    Refusal::invalid("name", "is the name of another release")
}

/// Names of a release and its team for the ids that effects mention.
pub(crate) fn labels(release: &Release, team: &str) -> BTreeMap<String, String> {
    BTreeMap::from([
        (release.id.to_string(), release.name.clone()),
        (release.team_id.to_string(), team.to_owned()),
    ])
}
