//! The approval card: everything a person needs to decide, and, after the decision, what became of it. Rendered
//! from the stored action only, never from words of a model.

use std::borrow::Cow;

use domain::action::{ActionState, Channel, RecordLink};
use domain::record::RecordType;
use domain::refusal::Code;
use domain::time::Timestamp;
use engine::view::{ActionView, ApprovalCard, Change, EffectView};
use maud::{Markup, html};
use serde_json::Value;

use super::pill::{self, Tone};
use super::{form, icon, list, text};
use crate::console::{passkeys, paths};

/// Whether this person may decide, and if not, the sentence that says why.
#[derive(Debug)]
pub struct May {
    /// What an authenticator is asked, where the approval must be signed with a passkey.
    pub sign: Option<Value>,
    /// The origin of the pages on which passkeys work.
    pub origin: String,
    pub approve: Result<(), String>,
    pub reject: Result<(), String>,
    /// The requester may take it back.
    pub withdraw: bool,
    /// One person alone, past the rules.
    pub break_glass: bool,
    /// Somebody looks at a broken glass.
    pub review: bool,
    /// Where the same can be proposed again, on how things stand now.
    pub again: Option<String>,
    /// The page to come back to after a decision, where that is not the card's own.
    pub back: String,
}

/// Carries the page to come back to through a form.
fn back(may: &May) -> Markup {
    html! { @if !may.back.is_empty() { input type="hidden" name="next" value=(may.back); } }
}

/// State in one banner: what happened, what it means, what to do next.
pub fn banner(view: &ActionView, now: Timestamp) -> Markup {
    let card = &view.card;
    match view.status {
        ActionState::PendingApproval if now >= card.expires_at => form::note(
            Tone::Warn,
            Some("status"),
            "Too late to decide",
            html! { p { "The time for a decision has run out. Nothing was changed. Have it proposed again." } },
        ),
        ActionState::PendingApproval if card.outdated_at.is_some() => form::note(
            Tone::Warn,
            Some("status"),
            "Out of date: it will not run",
            html! {
                p { "Something this card rests on has changed" @if let Some(at) = card.outdated_at { ", " (text::time(at, now)) } "." }
                p { "Reject or withdraw it, and propose it again: the new preview shows the records as they are now." }
            },
        ),
        ActionState::PendingApproval => form::note(
            if card.warned.is_some() { Tone::Warn } else { Tone::Info },
            None,
            if card.warned.is_some() { "Late: nobody has decided yet" } else { "Waiting for a decision" },
            html! {
                @if let Some(warned) = &card.warned {
                    p { "The rule asked for a decision by " (text::time(warned.at, now)) ". Told: " (warned.escalate_to.iter().map(|role| pill::human(role.as_str())).collect::<Vec<_>>().join(", ")) "." }
                }
                p { "Nothing has been changed yet. " (card.policy_sentence) }
                p.narrow { a href="#decide" { "Go to the decision" } }
                @if !card.approvals.is_empty() {
                    p { (card.approvals.len()) " of " (card.policy.minimum_approvers) " approvals given." }
                }
            },
        ),
        ActionState::Approved => form::note(
            Tone::Info,
            Some("status"),
            "Approved, about to run",
            html! { p { "It runs until " (text::time(card.expires_at, now)) ", or expires. Load this page again in a moment." } },
        ),
        ActionState::Executed => form::note(
            Tone::Good,
            Some("status"),
            "Done: it ran once, exactly as approved",
            html! {
                p { (by(view)) @if let Some(at) = view.finished_at { ", " (text::time(at, now)) } "." }
                @if card.broken_glass.as_ref().is_some_and(|glass| glass.review.is_none()) { p { strong { "It waits for a review by somebody else." } } }
            },
        ),
        ActionState::Rejected => form::note(
            Tone::Bad,
            Some("status"),
            "Rejected: nothing was changed",
            html! {
                @if let Some(person) = &view.rejected_by { p { "By " (person.email) ", " (text::time(person.at, now)) "." } }
                @if let Some(reason) = &view.rejection_reason { p.quote { (reason) } }
                p { "If it is still wanted, have it proposed again with what was wrong put right; a new proposal needs a new idempotency key." }
            },
        ),
        ActionState::Expired => form::note(
            Tone::Warn,
            Some("status"),
            "Expired: nothing was changed",
            html! { p { "Nobody decided in time. If it is still wanted, have it proposed again; a new proposal needs a new idempotency key." } },
        ),
        ActionState::Failed => failure(view, now),
    }
}

fn by(view: &ActionView) -> String {
    if let Some(glass) = &view.card.broken_glass {
        return format!("{} broke the glass: approved alone, past the rules", glass.by.email);
    }
    if view.card.approved_by_rule {
        return "Approved by the rule itself, because nobody decided in its time".into();
    }
    let people: Vec<&str> = view.card.approvals.iter().map(|a| a.email.as_str()).collect();
    if people.is_empty() {
        "Without approval, as its policy says".into()
    } else {
        let signed = view.card.approvals.iter().filter(|a| a.passkey.is_some()).count();
        let how = match signed {
            0 => "",
            1 if people.len() == 1 => ", signed with a passkey",
            all if all == people.len() => ", each signed with a passkey",
            _ => ", some signed with a passkey",
        };
        format!("Approved by {}{how}", people.join(", "))
    }
}

fn failure(view: &ActionView, now: Timestamp) -> Markup {
    let stale = view
        .failure
        .as_ref()
        .is_some_and(|f| f.code == Code::StalePreview.as_str() || f.code == Code::StaleReference.as_str());
    let title = if stale {
        "Not run: the records changed after the preview"
    } else {
        "It could not run: nothing was changed"
    };
    form::note(
        Tone::Bad,
        Some("status"),
        title,
        html! {
            @if stale {
                p { "What you saw on this card is no longer how things stand, so nothing was written. Have it previewed and proposed again." }
            }
            @if let Some(failure) = &view.failure {
                p { (form::sentence(&failure.message)) " " (failure.remedy) }
                p.small { "Code " code { (failure.code) } @if let Some(at) = view.finished_at { ", " (text::time(at, now)) } }
            }
        },
    )
}

/// What is asked, why, and about what.
pub fn asked(view: &ActionView, now: Timestamp) -> Markup {
    let card = &view.card;
    list::panel_with(
        "ask",
        if view.status.is_final() { "What was asked" } else { "What is asked" },
        None,
        html! { span.tag.mono { (card.tool) } },
        html! {
            div.panel-body {
                div.ask {
                    @if card.summary != view.title { p.ask-summary { (card.summary) } }
                    div { p.hint { "Reason given" } p.quote { (card.reason) } }
                }
                dl.facts {
                    dt { "Organization" } dd { (card.organization.name) " " span.muted { (card.organization.slug) } }
                    dt { "Team" } dd { @if let Some(team) = &card.team { (team.name) } @else { span.muted { "none" } } }
                    dt { "Release" }
                    dd { @if let Some(release) = &card.release { a href=(paths::release(release.id)) { (release.name) } } @else { span.muted { "none" } } }
                    dt { "Certification" }
                    dd { @if let Some(c) = &card.certification { a href=(paths::certification(c.id)) { (c.title) } } @else { span.muted { "none" } } }
                    dt { "Components" }
                    dd { @if card.components.is_empty() { span.muted { "none" } } @else { (card.components.join(", ")) } }
                    dt { "Asked by" } dd { @if let Some(agent) = &card.agent { span.tag { "agent " (agent.name) } " for " } (card.requested_by.email) " via " (channel(card.requested_via)) ", " (text::time(card.created_at, now)) }
                    dt { "References" }
                    dd {
                        @if card.references.is_empty() { span.muted { "none" } }
                        ul {
                            @for reference in &card.references {
                                @let href = RecordType::parse(reference.kind.as_str()).and_then(|kind| page_of(card, kind, &reference.id));
                                li {
                                    (pill::human(reference.kind.as_str())) ": "
                                    @if let Some(href) = href { a href=(href) { (reference.title) } } @else { (reference.title) }
                                    div.item-meta { (text::copyable("reference id", &reference.id)) }
                                }
                            }
                        }
                    }
                }
            }
        },
    )
}

/// Where a record that the card names is shown.
fn page_of(card: &ApprovalCard, record_type: RecordType, id: &str) -> Option<String> {
    let release = card.release.as_ref().map(|r| r.id);
    paths::record(record_type, id, release, card.certification.as_ref().map(|c| c.id))
}

/// By which door a call came, in words.
pub fn channel(channel: Channel) -> &'static str {
    use Channel as C;
    match channel {
        C::Mcp => "an AI client (MCP)",
        C::Helix => "this console",
        C::Api => "the HTTP API",
        C::Automation => "an automation",
        C::Cli => "the command line",
        C::Scim => "the directory (SCIM)",
    }
}

/// A value; words of the closed vocabularies as people see them everywhere.
fn said<'a>(field: &str, value: &'a str) -> Cow<'a, str> {
    if matches!(field, "status" | "priority") { pill::human(value).into() } else { value.into() }
}

fn value_of<'a>(effect: &'a EffectView, field: &str) -> Option<&'a str> {
    effect.changes.iter().find(|c| c.field == field).map(|c| c.to.as_str())
}

/// Effects sorted for reading: work with its children, moves of gaps and blockers, and the rest.
struct Sorted<'a> {
    work: Vec<(&'a EffectView, Vec<&'a EffectView>)>,
    moves: Vec<&'a EffectView>,
    rest: Vec<&'a EffectView>,
}

fn sorted(effects: &[EffectView]) -> Sorted<'_> {
    let is_new_work = |e: &&EffectView| e.record_type == RecordType::WorkItem && e.operation == "create";
    let created: Vec<&EffectView> = effects.iter().filter(is_new_work).collect();
    let belongs = |child: &EffectView, parent: &EffectView| {
        child.id != parent.id
            && value_of(child, "parent").is_some_and(|to| to == parent.title || to == parent.id)
    };
    let is_child = |e: &EffectView| created.iter().any(|parent| belongs(e, parent));
    let is_move = |e: &&EffectView| {
        e.operation == "update"
            && matches!(e.record_type, RecordType::EvidenceGap | RecordType::ProviderBlocker)
            && e.changes.iter().any(|c| c.field == "status" && c.from.is_some())
    };
    Sorted {
        work: created
            .iter()
            .filter(|e| !is_child(e))
            .map(|e| (*e, created.iter().copied().filter(|c| belongs(c, e)).collect()))
            .collect(),
        moves: effects.iter().filter(is_move).collect(),
        rest: effects.iter().filter(|e| !is_new_work(e) && !is_move(e)).collect(),
    }
}

/// `Creates 1 story and 3 tasks, updates 2 gaps`.
fn in_short(effects: &[EffectView]) -> String {
    let mut counted: Vec<(&str, String, usize)> = Vec::new();
    for effect in effects {
        let noun = match effect.record_type {
            RecordType::WorkItem => value_of(effect, "type").unwrap_or("work item").to_owned(),
            RecordType::EvidenceGap => "gap".into(),
            RecordType::ProviderBlocker => "blocker".into(),
            RecordType::RemediationWorkPackage => "work package".into(),
            other => other.as_str().replace('_', " "),
        };
        match counted.iter_mut().find(|(op, n, _)| *op == effect.operation && *n == noun) {
            Some(known) => known.2 += 1,
            None => counted.push((effect.operation, noun, 1)),
        }
    }
    let list = |operation: &str| {
        let parts: Vec<String> = counted
            .iter()
            .filter(|(op, ..)| *op == operation)
            .map(|(_, noun, n)| text::count(*n, noun))
            .collect();
        parts.join(", ")
    };
    match (list("create"), list("update")) {
        (made, changed) if changed.is_empty() => format!("Creates {made}"),
        (made, changed) if made.is_empty() => format!("Updates {changed}"),
        (made, changed) => format!("Creates {made}. Updates {changed}"),
    }
}

/// The effects as a readable diff.
pub fn effects(card: &ApprovalCard) -> Markup {
    let title = match card.state {
        ActionState::PendingApproval | ActionState::Approved => "What will change",
        ActionState::Executed => "What was changed",
        ActionState::Rejected | ActionState::Expired | ActionState::Failed => "What would have changed",
    };
    let Sorted { work, moves, rest } = sorted(&card.effects);
    list::panel(
        "effects",
        title,
        Some(card.effects.len() as u32),
        html! {
            div.panel-body.diff {
                @if card.effects.is_empty() {
                    (text::empty("Nothing", "This action changes no record."))
                } @else {
                    p { (in_short(&card.effects)) ". Nothing else." }
                }
                @for (story, tasks) in work {
                    div.change {
                        (change_head(story))
                        (changes(&story.changes, &["type"]))
                        @if !tasks.is_empty() {
                            div.children {
                                p.hint { (text::count(tasks.len(), "child task")) }
                                @for task in tasks {
                                    div.change { (change_head(task)) (changes(&task.changes, &["type", "parent"])) }
                                }
                            }
                        }
                    }
                }
                @if !moves.is_empty() {
                    div.change {
                        div.change-head { span.item-title { "Gaps and blockers that move" } }
                        ul.moves {
                            @for effect in moves { (moved(effect, card)) }
                        }
                    }
                }
                @for effect in rest {
                    div.change { (change_head(effect)) (changes(&effect.changes, &[])) }
                }
            }
        },
    )
}

fn change_head(effect: &EffectView) -> Markup {
    let noun = match effect.record_type {
        RecordType::WorkItem => value_of(effect, "type").unwrap_or("work item").to_owned(),
        other => other.as_str().replace('_', " "),
    };
    html! {
        div.change-head {
            span class={ "op " (effect.operation) } {
                @if effect.operation == "create" { (icon::PLUS) "Create " (noun) } @else { (icon::EDIT) "Update " (noun) }
            }
            span.item-title { (effect.title) }
        }
    }
}

fn changes(changes: &[Change], hidden: &[&str]) -> Markup {
    html! {
        @if changes.iter().any(|c| !hidden.contains(&c.field)) {
            dl.facts {
                @for change in changes.iter().filter(|c| !hidden.contains(&c.field)) {
                    dt { (text::words(change.field)) }
                    dd {
                        @if let Some(from) = &change.from { del.from { (said(change.field, from)) } " → " ins.to { (said(change.field, &change.to)) } }
                        @else { (said(change.field, &change.to)) }
                    }
                }
            }
        }
    }
}

fn moved(effect: &EffectView, card: &ApprovalCard) -> Markup {
    let href = page_of(card, effect.record_type, &effect.id);
    html! {
        li {
            span.item-title {
                @if let Some(href) = href { a href=(href) { (text::capital(&effect.title)) } } @else { (text::capital(&effect.title)) }
            }
            @for change in &effect.changes {
                @if change.field == "status" {
                    span {
                        span.visually-hidden { "from " }
                        (pill::pill(change.from.as_deref().unwrap_or("none"))) " → "
                        span.visually-hidden { "to " } (pill::pill(&change.to))
                    }
                } @else {
                    span.small.muted { (text::words(change.field)) ": " (change.to) }
                }
            }
        }
    }
}

/// The exact payload and what it is bound by.
pub fn payload(card: &ApprovalCard) -> Markup {
    let pretty = serde_json::from_str::<serde_json::Value>(card.payload.get())
        .and_then(|value| serde_json::to_string_pretty(&value))
        .unwrap_or_else(|_| card.payload.get().to_owned());
    list::panel(
        "payload",
        "Exact payload",
        None,
        html! {
            div.panel-body {
                details.fold { summary { "Show the payload that was proposed" } pre tabindex="0" { (pretty) } }
                dl.facts {
                    dt { "Payload SHA-256" } dd { (text::copyable("payload SHA-256", card.payload_sha256)) }
                    dt { "Action digest" } dd { (text::copyable("action digest", card.digest)) }
                }
                p.hint { "An approval counts for this digest only: organization, requester, tool, payload, effects and the versions of the records read. What runs is what is stored here, not a new request." }
            }
        },
    )
}

/// Every identifier by which the action can be found again.
pub fn identifiers(card: &ApprovalCard) -> Markup {
    list::panel(
        "identifiers",
        "Identifiers",
        None,
        html! {
            div.panel-body {
                dl.facts {
                    dt { "Action" } dd { (text::copyable("action id", card.action_id)) }
                    dt { "Approval" } dd { (text::copyable("approval id", card.approval_id)) }
                    dt { "Request" } dd { (text::copyable("request id", &card.request_id)) }
                    dt { "Trace" } dd { (text::copyable("trace id", &card.trace_id)) }
                    dt { "Workflow" }
                    dd { @if let Some(workflow) = &card.workflow { (text::copyable("workflow", workflow)) } @else { span.muted { "none" } } }
                    dt { "Idempotency key" } dd { (text::copyable("idempotency key", &card.idempotency_key)) }
                }
            }
        },
    )
}

/// Who may approve, who did, and until when.
pub fn policy(view: &ActionView, now: Timestamp) -> Markup {
    let card = &view.card;
    let clock = match view.status {
        ActionState::PendingApproval => Some("Decide before"),
        ActionState::Approved => Some("Runs before"),
        ActionState::Expired => Some("Was open until"),
        // What was decided has no clock any more.
        ActionState::Executed | ActionState::Rejected | ActionState::Failed => None,
    };
    list::panel(
        "policy",
        "Approval",
        None,
        html! {
            div.panel-body {
                p { (card.policy_sentence) }
                dl.facts.stacked {
                    @if let Some(clock) = clock { dt { (clock) } dd.clock { (icon::CLOCK) (text::time(card.expires_at, now)) } }
                    dt { "Policy" } dd { code { (card.policy.policy) } }
                    @if card.approved_by_rule { dt { "Approved by" } dd { "the policy itself, because nobody decided in its time" } }
                    @if let Some(glass) = &card.broken_glass {
                        dt { "Glass broken by" }
                        dd { (glass.by.email) ", " (text::time(glass.by.at, now)) p.quote { (glass.reason) } }
                        dt { "Reviewed by" }
                        dd { @match &glass.review { Some(by) => { (by.email) ", " (text::time(by.at, now)) } None => "nobody yet" } }
                    }
                    dt { "Approvals so far" }
                    dd {
                        (card.approvals.len()) " of " (card.policy.minimum_approvers)
                        ul { @for approval in &card.approvals { li { (approval.email) ", " (text::time(approval.at, now)) } } }
                    }
                }
            }
        },
    )
}

/// The two buttons, or the sentence that says why there are none.
pub fn decision(view: &ActionView, may: &May, csrf: &str, refused_reason: &str) -> Markup {
    let action = paths::action(view.id);
    list::panel(
        "decide",
        "Your decision",
        None,
        html! {
            div.panel-body {
                @if may.approve.is_ok() || may.reject.is_ok() { p.hint { "You decide for organization " strong { (view.card.organization.name) } ". Check the release, the records and the wording first." } }
                @match &may.approve {
                    Ok(()) => form method="post" action={ (action) "/approve" } {
                        (form::csrf(csrf))
                        // The digest that was on the screen, so that the decision is about this card.
                        input type="hidden" name="digest" value=(view.card.digest);
                        (back(may))
                        @if let Some(options) = &may.sign {
                            (passkeys::asked("get", "signed", options, &may.origin))
                            p.hint { "Signed with your passkey: the log will prove that it was you." }
                            button.button.primary.wide { (icon::LOCK) "Sign, approve and run" }
                        } @else {
                            button.button.primary.wide { (icon::CHECK) "Approve and run" }
                        }
                    },
                    Err(why) => (form::note(Tone::Quiet, None, if may.reject.is_ok() { "You cannot approve this" } else { "You cannot decide this" }, html! { p { (why) } @if view.card.policy.passkey() { p { a href=(paths::PASSKEYS) { "Your passkeys" } } } })),
                }
                @match &may.reject {
                    Ok(()) => {
                        @if may.approve.is_ok() { p.or { "or" } }
                        form.stack method="post" action={ (action) "/reject" } {
                            (form::csrf(csrf))
                            (back(may))
                            div.field {
                                label for="reason" { "Why not?" }
                                textarea id="reason" name="reason" required maxlength="2000" aria-describedby="reason-hint" { (refused_reason) }
                                span.hint id="reason-hint" { "Required. The requester reads it. One rejection ends the action." }
                            }
                            button.button.danger.wide { (icon::CROSS) "Reject" }
                        }
                    },
                    Err(why) => @if may.approve.is_ok() { p.hint { (why) } },
                }
            }
        },
    )
}

/// What the person may do besides approving and rejecting.
pub fn further(view: &ActionView, may: &May, csrf: &str, refused_reason: &str) -> Markup {
    let action = paths::action(view.id);
    let reason = |id: &str, label: &str, hint: &str| {
        html! {
            div.field {
                label for=(id) { (label) }
                textarea id=(id) name="reason" required maxlength="2000" aria-describedby={ (id) "-hint" } { (refused_reason) }
                span.hint id={ (id) "-hint" } { (hint) }
            }
        }
    };
    html! {
        @if let Some(again) = &may.again {
            (list::panel("again", "Still wanted?", None, html! {
                div.panel-body {
                    p { "The form opens with what was asked here; its preview shows the records as they are now." }
                    a.button.wide href=(again) { (icon::EDIT) "Propose it again" }
                }
            }))
        }
        @if may.withdraw {
            (list::panel("withdraw", "Take it back", None, html! {
                form.panel-body.stack method="post" action={ (action) "/withdraw" } {
                    (form::csrf(csrf))
                    (back(may))
                    p { "You asked for this. Taken back, it never runs." }
                    (reason("withdraw-reason", "Why?", "Those who would have decided read it."))
                    button.button.wide { (icon::CROSS) "Withdraw" }
                }
            }))
        }
        @if may.review {
            (list::panel("review", "Review the broken glass", None, html! {
                form.panel-body.stack method="post" action={ (action) "/review" } {
                    (form::csrf(csrf))
                    p { "One person approved this alone. Look at what it changed and at the reason under Approval, and say that you have." }
                    button.button.primary.wide { (icon::CHECK) "I have looked at it" }
                }
            }))
        }
        @if may.break_glass {
            (list::panel("break-glass", "In an emergency", None, html! {
                div.panel-body {
                    details.fold {
                        summary { "Break the glass …" }
                        form.stack method="post" action={ (action) "/break-glass" } {
                            (form::csrf(csrf))
                            input type="hidden" name="digest" value=(view.card.digest);
                            (form::note(Tone::Warn, None, "Approves alone, past the rules", html! {
                                p { "It runs at once, an alarm is raised, and somebody else must review it." }
                            }))
                            (reason("glass-reason", "Why can it not wait?", "Required. It stands in the audit log for good."))
                            button.button.danger.wide { (icon::ALERT) "Break the glass and run" }
                        }
                    }
                }
            }))
        }
    }
}

/// The records that were made and changed.
pub fn results(view: &ActionView) -> Markup {
    html! {
        @if view.status == ActionState::Executed {
            (list::panel("results", "Records", Some((view.created.len() + view.updated.len()) as u32), html! {
                ul.items {
                    @for (word, tone, links) in [("Created", "good", &view.created), ("Updated", "info", &view.updated)] {
                        @for link in links {
                            li class=(tone) {
                                div.item-top { span.item-title { (linked(link, &view.card)) } (pill::toned(if word == "Created" { Tone::Good } else { Tone::Info }, word)) }
                                div.item-meta { span { (pill::human(link.record_type.as_str())) } (text::copyable("record id", &link.id)) }
                            }
                        }
                    }
                }
            }))
        }
    }
}

fn linked(link: &RecordLink, card: &ApprovalCard) -> Markup {
    let href = page_of(card, link.record_type, &link.id);
    let title = text::capital(&link.title);
    html! { @if let Some(href) = href { a href=(href) { (title) } } @else { (title) } }
}

/// Proof that the decision was recorded.
pub fn receipt(view: &ActionView, now: Timestamp) -> Markup {
    html! {
        @if let Some(audit) = &view.audit {
            (list::panel("receipt", "Audit receipt", None, html! {
                div.panel-body {
                    p.hint {
                        @if view.status.is_final() { "Proves that this outcome was recorded." }
                        @else { "Proves that the proposal was recorded." }
                    }
                    dl.facts.stacked {
                        dt { "Sequence in the log" } dd { (text::copyable("audit sequence", audit.sequence)) }
                        dt { "Leaf hash" } dd { (text::copyable("leaf hash", audit.leaf_hash)) }
                        dt { "Recorded" } dd { (text::time(audit.recorded_at, now)) }
                    }
                }
            }))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn effect(
        operation: &'static str,
        record_type: RecordType,
        id: &str,
        changes: &[(&'static str, Option<&str>, &str)],
    ) -> EffectView {
        EffectView {
            operation,
            record_type,
            id: id.into(),
            title: format!("Title of {id}"),
            changes: changes
                .iter()
                .map(|(field, from, to)| Change { field, from: from.map(Into::into), to: (*to).into() })
                .collect(),
        }
    }

    #[test]
    fn tasks_stand_under_their_story_and_moves_apart() {
        let effects = [
            effect("create", RecordType::WorkItem, "s", &[("type", None, "story")]),
            effect(
                "create",
                RecordType::WorkItem,
                "t",
                &[("type", None, "task"), ("parent", None, "Title of s")],
            ),
            effect("update", RecordType::EvidenceGap, "g", &[("status", Some("open"), "in_remediation")]),
            effect("create", RecordType::RemediationWorkPackage, "p", &[]),
        ];
        let sorted = sorted(&effects);
        assert_eq!(sorted.work.len(), 1);
        assert_eq!(sorted.work.first().map(|(_, tasks)| tasks.len()), Some(1));
        assert_eq!((sorted.moves.len(), sorted.rest.len()), (1, 1));
        assert_eq!(in_short(&effects), "Creates 1 story, 1 task, 1 work package. Updates 1 gap");
    }
}
