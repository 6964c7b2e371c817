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

const NAMED: [Named; 13] = [
    named("release", "rel", "loopiq_list_releases"),
    named("certificationId", "cert", "loopiq_list_release_certifications"),
    named("team", "team", "loopiq_list_teams"),
    named("teamId", "team", "loopiq_list_teams"),
    named("workItemId", "wi", "loopiq_list_work_items"),
    named("parentId", "wi", "loopiq_list_work_items"),
    named("control", "ctl", "loopiq_get_release_certification"),
    named("controlId", "ctl", "loopiq_get_release_certification"),
    named("targetIds", "gap", "loopiq_list_evidence_gaps"),
    named("findingRefs", "gap", "loopiq_get_release_certification_evidence_graph"),
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
        Some(named) => Refusal::invalid(named.field, format!("must be an id of the form {}_…", named.prefix)),
        None => Refusal::invalid("arguments", "do not have the form the input schema asks for"),
    }
}

/// Kinds of records, as refusals call them, and the call that shows which there are.
const SHOWN_BY: [(&str, &str); 9] = [
    ("release", "loopiq_list_releases (allTeams true: of all teams)"),
    ("earlier release of the team", "loopiq_list_releases"),
    ("certification", "loopiq_list_release_certifications"),
    ("certification of this release", "loopiq_list_release_certifications"),
    ("team", "loopiq_list_teams"),
    ("control", "loopiq_get_release_certification"),
    ("work item", "loopiq_list_work_items"),
    ("action", "loopiq_list_actions"),
    ("approval", "loopiq_list_actions"),
];

/// What people are told too, without a tool that they could call.
const MATCHING_LIST: &str = "the matching list tool";

/// A refusal of a tool as a program is told: with the next call by its name. People have pages instead.
pub(crate) fn for_a_program(mut refusal: Refusal, tool: &str) -> Refusal {
    let remedy = &mut refusal.remedy;
    match refusal.code {
        Code::NotFound => {
            let kind = refusal.message.strip_suffix(" not found").unwrap_or_default();
            if let Some((_, shown_by)) = SHOWN_BY.iter().find(|(known, _)| *known == kind) {
                *remedy = remedy.replacen(MATCHING_LIST, shown_by, 1);
            }
        }
        Code::AlreadyRemediated => remedy.push_str(" loopiq_list_work_items shows the open work."),
        Code::ValidationFailed
        | Code::MissingParent
        | Code::MissingTitle
        | Code::UnclearOwnership
        | Code::ReferenceMismatch => {
            let again = format!("call {tool} again");
            if remedy.contains("call again") {
                *remedy = remedy.replacen("call again", &again, 1);
            } else {
                remedy.push_str(&format!(" Then {again}."));
            }
            for detail in &refusal.details {
                let is_part = |named: &&Named| detail.field.split(['.', '[']).any(|part| part == named.field);
                let Some(named) = NAMED.iter().find(is_part) else { continue };
                if !remedy.contains(named.found_by) {
                    remedy.push_str(&format!(" {} finds what {} takes.", named.found_by, named.field));
                }
            }
        }
        _ => {}
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
        let refusal = for_a_program(unreadable(&error, &arguments), "loopiq_get_release_certification");
        assert_eq!(refusal.details[0].field, "certificationId");
        assert!(refusal.details[0].message.contains("cert_…"), "{refusal:?}");
        for words in
            ["call loopiq_get_release_certification again", "loopiq_list_release_certifications finds"]
        {
            assert!(refusal.remedy.contains(words), "{refusal:?}");
        }
        assert!(!format!("{refusal:?}").contains("canary"));
        let other = serde_json::from_str::<CertificationId>("{").unwrap_err();
        assert_eq!(unreadable(&other, &Map::new()).details[0].field, "arguments");
    }

    #[test]
    fn what_is_not_there_is_looked_for_by_name() {
        for (kind, _) in SHOWN_BY {
            let refusal = for_a_program(Refusal::not_found(kind), "loopiq_get_release");
            assert!(refusal.remedy.contains("with loopiq_"), "{refusal:?}");
        }
        let refusal = Refusal::not_found("webhook");
        assert_eq!(for_a_program(refusal.clone(), "loopiq_set_webhook"), refusal);
    }

    #[test]
    fn a_part_of_an_argument_is_found_like_the_whole() {
        let refusal = Refusal::new(Code::ReferenceMismatch, "no", "Look.")
            .detail("children[0].findingRefs[1].id", "no");
        let told = for_a_program(refusal, "loopiq_create_work_item").remedy;
        assert_eq!(
            told,
            "Look. Then call loopiq_create_work_item again. loopiq_get_release_certification_evidence_graph finds what \
             findingRefs takes."
        );
    }
}
