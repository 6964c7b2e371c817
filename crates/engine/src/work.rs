//! What all writes of work items share: titles, owners, and the refusals that the documentation names for them.

use domain::id::UserId;
use domain::permission::{Membership, MembershipStatus};
use domain::refusal::{Code, Refusal};
use domain::work::{WorkItem, WorkItemType};
use serde_json::Value;

use crate::limits;

/// Whether a member of the arguments is absent or says nothing. What is of another type is left to the schema.
pub(crate) fn is_blank(value: Option<&Value>) -> bool {
    match value {
        None | Some(Value::Null) => true,
        Some(Value::String(text)) => text.trim().is_empty(),
        Some(_) => false,
    }
}

pub(crate) fn missing_parent(field: &str, message: &str) -> Refusal {
    Refusal::new(
        Code::MissingParent,
        "the parent of the work is missing",
        "Name a parent that exists; loopiq_list_work_items finds stories and epics. A package needs its own story.",
    )
    .detail(field, message)
}

pub(crate) fn missing_title(field: &str) -> Refusal {
    Refusal::new(
        Code::MissingTitle,
        "a title is missing or blank",
        "Give every work item a title of 1 to 200 characters.",
    )
    .detail(field, "must not be blank")
}

pub(crate) fn unclear_ownership(field: &str, message: &str) -> Refusal {
    Refusal::new(
        Code::UnclearOwnership,
        "it is not clear who owns the work",
        "Name a team, and people who are active members; a package also needs an owner or a team that has a lead.",
    )
    .detail(field, message)
}

/// The title without space around it.
///
/// # Errors
/// `missing_title` when nothing is left, `validation_failed` when it is too long or more than one line.
pub(crate) fn title<'a>(field: &str, text: &'a str) -> Result<&'a str, Refusal> {
    if text.trim().is_empty() {
        return Err(missing_title(field));
    }
    name(field, text)
}

/// A name or a title without space around it.
///
/// # Errors
/// `validation_failed` when it is blank, too long or more than one line.
pub(crate) fn name<'a>(field: &str, text: &'a str) -> Result<&'a str, Refusal> {
    let name = text.trim();
    let fits = (1..=limits::TITLE_CHARS_MAX).contains(&name.chars().count());
    if !fits || name.chars().any(char::is_control) {
        return Err(Refusal::invalid(field, "must be one line of 1 to 200 characters"));
    }
    Ok(name)
}

/// The active member of this id or e-mail address.
pub(crate) fn member<'a>(members: &'a [Membership], reference: &str) -> Option<&'a Membership> {
    let reference = reference.trim();
    let id = reference.parse::<UserId>().ok();
    members
        .iter()
        .filter(|m| m.status == MembershipStatus::Active)
        .find(|m| Some(m.user_id) == id || m.email.eq_ignore_ascii_case(reference))
}

/// The member that somebody is to be, by name of the field.
///
/// # Errors
/// `unclear_ownership`.
pub(crate) fn owner<'a>(
    members: &'a [Membership],
    field: &str,
    reference: &str,
) -> Result<&'a Membership, Refusal> {
    member(members, reference)
        .ok_or_else(|| unclear_ownership(field, "must be an active member of the organization"))
}

/// Labels without space around them, each once.
///
/// # Errors
/// `validation_failed` for one that is blank, too long or more than one line.
pub(crate) fn labels(field: &str, given: &[String]) -> Result<Vec<String>, Refusal> {
    let mut labels: Vec<String> = Vec::with_capacity(given.len());
    for (index, label) in given.iter().map(|l| l.trim()).enumerate() {
        let fits = (1..=limits::LABEL_CHARS_MAX).contains(&label.chars().count());
        if !fits || label.chars().any(char::is_control) {
            return Err(Refusal::invalid(
                format!("{field}[{index}]"),
                "must be one line of 1 to 50 characters",
            ));
        }
        if !labels.iter().any(|known| known == label) {
            labels.push(label.to_owned());
        }
    }
    Ok(labels)
}

/// Whether an item of this type may be put below this parent.
///
/// # Errors
/// `validation_failed` for a parent of the wrong type, or one where nothing is left to do.
pub(crate) fn may_hang_below(item_type: WorkItemType, parent: &WorkItem, field: &str) -> Result<(), Refusal> {
    if !item_type.may_be_under(parent.item_type) {
        return Err(Refusal::invalid(
            field,
            "must be an epic for a story, and a story for a task or an issue; an epic has no parent",
        ));
    }
    if parent.status.is_closed() {
        return Err(Refusal::invalid(field, "is done or cancelled; name one that is open"));
    }
    Ok(())
}
