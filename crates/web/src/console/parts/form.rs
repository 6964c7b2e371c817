//! Forms: every POST carries the session's token; fields have labels; messages say what to do.

use domain::refusal::{Code, Refusal};
use maud::{Markup, html};

use super::icon;
use super::pill::Tone;
use super::text;

/// The hidden field that proves that a form came from a page of this session.
pub fn csrf(token: &str) -> Markup {
    html! { input type="hidden" name="csrf" value=(token); }
}

/// A framed message. `role` is `alert` for what just went wrong, `status` for what just happened.
pub fn note(tone: Tone, role: Option<&str>, title: &str, body: Markup) -> Markup {
    let icon = match tone {
        Tone::Good => icon::CHECK,
        Tone::Warn => icon::ALERT,
        Tone::Bad => icon::CROSS,
        Tone::Info | Tone::Quiet => icon::INFO,
    };
    html! {
        div class={ "note " (tone.class()) } role=[role] {
            (icon)
            div { strong { (title) } (body) }
        }
    }
}

/// What was refused, why, and what to do next.
pub fn refused(title: &str, refusal: &Refusal) -> Markup {
    note(
        Tone::Bad,
        Some("alert"),
        title,
        html! {
            @if refusal.details.is_empty() { p { (sentence(&refusal.message)) } }
            @if !refusal.details.is_empty() {
                ul { @for detail in &refusal.details { li { (super::pill::human(&detail.field)) " " (detail.message) } } }
            }
            p { (remedy(refusal)) }
        },
    )
}

/// What a person does next. Some remedies speak to programs, naming tools and schemas; a person needs other words.
fn remedy(refusal: &Refusal) -> &str {
    match refusal.code {
        Code::ValidationFailed => "Correct it and try again.",
        Code::Forbidden if refusal.remedy.contains("loopiq_") => {
            "Ask an organization administrator for a role with this permission."
        }
        _ if refusal.remedy.contains("loopiq_") => "This page shows how things stand now.",
        _ => &refusal.remedy,
    }
}

/// A refusal's message starts small and has no full stop; on a page it stands alone.
pub fn sentence(message: &str) -> String {
    let mut text = text::capital(message);
    if !text.ends_with(['.', '!', '?']) {
        text.push('.');
    }
    text
}

/// A choice that filters a list.
pub fn select(label: &str, name: &str, any: &str, options: &[(String, String)], chosen: &str) -> Markup {
    html! {
        div.field {
            label for={ "filter-" (name) } { (label) }
            select id={ "filter-" (name) } name=(name) {
                option value="" selected[chosen.is_empty()] { (any) }
                @for (value, words) in options {
                    option value=(value) selected[value == chosen] { (words) }
                }
            }
        }
    }
}
