//! The frame of every page: head, bar with navigation and organization switch, main part, foot.

use domain::org::Organization;
use domain::time::Timestamp;
use maud::{DOCTYPE, Markup, html};

use super::{form, icon, text};
use crate::console::visit::Live;
use crate::console::{assets, paths};

/// Which part of the console a page belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    Home,
    Releases,
    Work,
    Approvals,
    Administration,
    None,
}

/// What the bar shows of the person.
#[derive(Debug, Clone, Copy)]
pub struct Person<'a> {
    pub name: &'a str,
    pub email: &'a str,
    pub csrf: &'a str,
    pub organization: Option<&'a Organization>,
    pub organizations: &'a [Organization],
    /// The page they look at; empty where the assistant has nothing to look at.
    pub here: &'a str,
    /// The address of the server, and when the page was made: for what is printed.
    pub base: &'a str,
    pub now: Timestamp,
}

fn head(title: &str) -> Markup {
    let [style, script, palette, passkey, assistant, favicon, touch, manifest] = assets::addresses();
    html! {
        meta charset="utf-8";
        meta name="viewport" content="width=device-width, initial-scale=1";
        meta name="color-scheme" content="light dark";
        meta name="referrer" content="same-origin";
        title { (title) " · LoopIQ" }
        meta name="theme-color" media="(prefers-color-scheme: light)" content="#ffffff";
        meta name="theme-color" media="(prefers-color-scheme: dark)" content="#171c25";
        link rel="icon" type="image/svg+xml" href=(favicon);
        link rel="apple-touch-icon" href=(touch);
        link rel="manifest" href=(manifest);
        link rel="stylesheet" href=(style);
        script type="module" src=(passkey) {}
        script type="module" src=(script) {}
        script type="module" src=(palette) {}
        script type="module" src=(assistant) {}
    }
}

fn brand() -> Markup {
    html! { a.brand href=(paths::HOME) { (icon::MARK) span { "LoopIQ" } } }
}

/// A page for somebody who is signed in.
///
/// What the script may take over from a newer version of a live page, piece by piece, is marked with `data-parts`: the
/// children of such an element are compared one by one.
pub fn page(
    title: &str,
    part: Part,
    person: Person<'_>,
    request_id: &str,
    live: Option<Live>,
    body: Markup,
) -> Markup {
    html! {
        (DOCTYPE)
        html lang="en" {
            head { (head(title)) }
            body {
                a.skip href="#main" { "Skip to content" }
                header.bar {
                    div.bar-inner {
                        (brand())
                        nav.nav aria-label="Main" {
                            @for (this, href, icon, name) in [
                                (Part::Home, paths::HOME, icon::HOME, "Home"),
                                (Part::Releases, paths::RELEASES, icon::RELEASE, "Releases"),
                                (Part::Work, paths::WORK_ITEMS, icon::WORK, "Work"),
                                (Part::Approvals, paths::APPROVALS, icon::INBOX, "Approvals"),
                                (Part::Administration, paths::ADMINISTRATION, icon::LOCK, "Admin"),
                            ] {
                                a href=(href) aria-current=[(this == part).then_some("page")] { (icon) (name) }
                            }
                        }
                        (search())
                        (assistant(person.here))
                        (organizations(person))
                        (menu(person))
                    }
                }
                main id="main" tabindex="-1" data-parts
                    data-live=[live.map(|live| live.length)]
                    data-organization=[live.map(|live| live.organization)] { (body) }
                footer.foot { "Request " (text::copyable("request id", request_id)) }
                (printed(person))
                (text::copy_template())
            }
        }
    }
}

/// What stands below a printed page, and nowhere else: where it came from and when.
fn printed(person: Person<'_>) -> Markup {
    html! {
        p.printed {
            @if let Some(organization) = person.organization { (organization.name) ". " }
            "As of " (text::absolute(person.now)) ". " (person.base) (person.here)
        }
    }
}

/// The way to what can be found. With script it opens over the page.
fn search() -> Markup {
    html! {
        a.find href=(paths::SEARCH) data-palette aria-keyshortcuts="Control+K Meta+K" {
            (icon::SEARCH) span.label { "Search" }
        }
    }
}

/// The way to the assistant, who is told which page it is asked from. With script it opens beside the page.
fn assistant(here: &str) -> Markup {
    html! {
        @if !here.is_empty() {
            @let inside = here.starts_with(paths::ASSISTANT);
            a.ask-helix href=(paths::assistant(None, if inside { "" } else { here })) data-assistant[!inside] aria-current=[inside.then_some("page")] {
                (icon::ASSISTANT) span.label { "Ask Helix" }
            }
        }
    }
}

/// Which organization answers, and a way to another one.
fn organizations(person: Person<'_>) -> Markup {
    let active = person.organization;
    html! {
        @if !person.organizations.is_empty() {
            details.menu {
                summary aria-label={ "Organization: " (active.map_or("none", |o| &o.name)) } {
                    (icon::ORGANIZATION)
                    span.label { (active.map_or("Choose organization", |o| &o.name)) }
                    (icon::CHEVRON)
                }
                form.menu-panel method="post" action=(paths::ORGANIZATION) {
                    (form::csrf(person.csrf))
                    p.menu-title { "Organization. Everything on these pages belongs to it." }
                    @for organization in person.organizations {
                        @let current = active.is_some_and(|o| o.id == organization.id);
                        button name="organization" value=(organization.slug) aria-current=[current.then_some("true")] {
                            @if current { (icon::CHECK) } @else { (icon::ORGANIZATION) }
                            (organization.name)
                        }
                    }
                }
            }
        }
    }
}

fn menu(person: Person<'_>) -> Markup {
    html! {
        details.menu.person {
            summary aria-label={ "Account: " (person.email) } {
                (icon::USER) span.label { (person.name) } (icon::CHEVRON)
            }
            form.menu-panel method="post" action=(paths::LOGOUT) {
                (form::csrf(person.csrf))
                p.menu-title { "Signed in as " strong { (person.email) } }
                a href=(paths::CONNECT) { (icon::PLUS) "Connect a client" }
                a href=(paths::PASSKEYS) { (icon::LOCK) "Passkeys" }
                a href=(paths::SESSIONS) { (icon::USER) "Sessions" }
                button { (icon::LEAVE) "Sign out" }
            }
        }
    }
}

/// A page without a person: sign-in, and what went wrong before anybody was known.
pub fn alone(title: &str, body: Markup) -> Markup {
    html! {
        (DOCTYPE)
        html lang="en" {
            head { (head(title)) }
            body {
                main.alone id="main" { (brand()) (body) }
            }
        }
    }
}

/// The head of a page: where it is, what it is, and what to say beside it.
pub fn heading(crumbs: &[(&str, String)], title: &str, meta: Markup, aside: Markup) -> Markup {
    html! {
        header.head {
            div.head-text {
                @if !crumbs.is_empty() {
                    nav.crumbs aria-label="Breadcrumb" {
                        @for (index, (name, href)) in crumbs.iter().enumerate() {
                            @if index > 0 { span aria-hidden="true" { "/" } }
                            a href=(href) { (name) }
                        }
                    }
                }
                h1 { (title) }
                div.head-meta { (meta) }
            }
            (aside)
        }
    }
}
