//! What to call next, for whoever was refused: the same tool once its arguments are mended, and the tool that finds what an
//! argument takes. A client that knows nothing but what the server tells it can go on from every refusal.

use domain::refusal::{Code, Refusal};
use serde_json::{Map, Value};

/// An argument that names a record.
struct Named {
    field: &'static str,
    /// How ids of such records begin.
    prefix: &'static str,
    /// The tool that finds them.
    found_by: &'static str,
}

const fn named(field: &'static str, prefix: &'static str, found_by: &'static str) -> Named {
    Named { field, prefix, found_by }
}

const NAMED: [Named; 12] = [
    named("release", "rel", "loopiq_list_releases"),
    named("certificationId", "cert", "loopiq_list_release_certifications"),
    named("team", "team", "loopiq_list_teams"),
    named("teamId", "team", "loopiq_list_teams"),
    named("workItemId", "wi", "loopiq_list_work_items"),
    named("parentId", "wi", "loopiq_list_work_items"),
    named("control", "ctl", "loopiq_get_release_certification"),
    named("controlId", "ctl", "loopiq_get_release_certification"),
    named("targetIds", "gap", "loopiq_list_evidence_gaps"),
    named("actionId", "act", "loopiq_list_actions"),
    named("approvalId", "apr", "loopiq_list_actions"),
    named("idempotencyKey", "", "loopiq_list_actions"),
];

/// Arguments that have the types of the schema and are still not readable: an id of another kind, or no id.
pub(crate) fn unreadable(error: &serde_json::Error, arguments: &Map<String, Value>) -> Refusal {
    // The error of an id says its kind and nothing of what was received; other errors may, and are not looked into.
    let said = error.to_string();
    let kind = said.strip_prefix("not a ").and_then(|rest| rest.strip_suffix("… identifier"));
    let field = kind.and_then(|kind| {
        NAMED.iter().find(|named| named.prefix == kind && arguments.contains_key(named.field))
    });
    match field {
        Some(named) => Refusal::invalid(
            named.field,
            format!("must be an id of the form {}_…, as {} shows it", named.prefix, named.found_by),
        ),
        None => Refusal::invalid("arguments", "do not have the form the input schema asks for"),
    }
}

/// A refusal of a tool that may be called again once something is mended, with that said.
pub(crate) fn called_again(mut refusal: Refusal, tool: &str) -> Refusal {
    let mendable = matches!(
        refusal.code,
        Code::ValidationFailed
            | Code::MissingParent
            | Code::MissingTitle
            | Code::UnclearOwnership
            | Code::ReferenceMismatch
    );
    if !mendable {
        return refusal;
    }
    if refusal.remedy.contains("call again") {
        refusal.remedy = refusal.remedy.replacen("call again", &format!("call {tool} again"), 1);
    } else if !refusal.remedy.contains(tool) {
        refusal.remedy.push_str(&format!(" Then call {tool} again."));
    }
    for detail in &refusal.details {
        let Some(named) = NAMED.iter().find(|named| named.field == detail.field) else { continue };
        if !refusal.remedy.contains(named.found_by) {
            refusal.remedy.push_str(&format!(" {} finds what {} takes.", named.found_by, named.field));
        }
    }
    refusal
}

#[cfg(test)]
mod tests {
    use domain::id::CertificationId;
    use serde::Deserialize as _;
    use serde_json::json;

    use super::*;

    #[test]
    fn an_id_that_is_none_is_told_by_its_field_and_who_finds_one() {
        let given = json!("canary-5e1b");
        let error = CertificationId::deserialize(&given).unwrap_err();
        let arguments = Map::from_iter([("certificationId".to_owned(), given)]);
        let refusal = called_again(unreadable(&error, &arguments), "loopiq_get_release_certification");
        assert_eq!(refusal.details[0].field, "certificationId");
        assert!(refusal.details[0].message.contains("cert_…"), "{refusal:?}");
        for tool in ["call loopiq_get_release_certification again", "loopiq_list_release_certifications finds"] {
            assert!(refusal.remedy.contains(tool), "{refusal:?}");
        }
        assert!(!format!("{refusal:?}").contains("canary"));
        let other = serde_json::from_str::<CertificationId>("{").unwrap_err();
        assert_eq!(unreadable(&other, &Map::new()).details[0].field, "arguments");
    }

    #[test]
    fn what_cannot_be_mended_stays_as_it_is() {
        let refusal = Refusal::not_found("release");
        assert_eq!(called_again(refusal.clone(), "loopiq_get_release"), refusal);
    }
}
