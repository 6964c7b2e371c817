//! Where running the organization begins: its places, and every command about it that the visitor may use.

use axum::response::Response;
use domain::permission::Permission;
use engine::tool::Effects;
use maud::html;

use super::parts::layout::{self, Part};
use super::parts::{list, text};
use super::visit::{Page, Visit};
use super::{model, passkeys, paths, policies, providers, sessions};

/// Places, each with the tool that whoever sees it may use.
const PLACES: [(&str, &str, &str, &str); 14] = [
    (
        "loopiq_list_teams",
        paths::SETTINGS,
        "Organization",
        "Its switches for MCP and AI, its settings, its control sets.",
    ),
    ("loopiq_list_members", paths::MEMBERS, "Members", "People and what they hold; grant and revoke."),
    ("loopiq_list_teams", paths::TEAMS, "Teams and roles", "Teams, and what each role gives."),
    (
        "loopiq_explain_access",
        paths::ACCESS,
        "Who may do what",
        "For a person, a role or a tool: allowed or refused, by which policy, and whose approval it needs.",
    ),
    (
        "loopiq_get_policies",
        paths::POLICIES,
        "Policies",
        "Who may do what, and what needs whose approval; every version with who, when and why.",
    ),
    (
        "loopiq_list_agents",
        paths::AGENTS,
        "Agents",
        "Programs that act for people, and what each is granted.",
    ),
    ("loopiq_list_tokens", paths::TOKENS, "Tokens", "For programs that cannot sign in through a browser."),
    (
        "loopiq_list_webhooks",
        paths::WEBHOOKS,
        "Webhooks",
        "Services that are told of what happens, and what could not be delivered.",
    ),
    (
        "loopiq_get_context",
        paths::CONNECT,
        "Connected clients",
        "How to connect one, what is in the way, and which are let in.",
    ),
    (
        "loopiq_list_identity_providers",
        paths::PROVIDERS,
        "Identity providers",
        "Services of your company through which people sign in.",
    ),
    (
        model::SET,
        paths::MODEL,
        "Language model",
        "What Helix answers with, within which limits; without one it goes by fixed rules.",
    ),
    ("loopiq_list_passkeys", paths::PASSKEYS, "Passkeys", "Who signs approvals, and with what."),
    (
        "loopiq_list_sessions",
        paths::SESSIONS,
        "Sessions",
        "Who is signed in to this organization, since when.",
    ),
    (
        "loopiq_list_audit_records",
        paths::AUDIT,
        "Audit log",
        "Every decision, write, refusal and read, with its proof.",
    ),
];

/// Address, title and purpose of the places that the visitor may see.
pub fn places(visit: &Visit) -> impl Iterator<Item = (&'static str, &'static str, &'static str)> {
    let permits = |name: &str| engine::tools::find(name).is_some_and(|tool| visit.actor.permits(&tool.card));
    PLACES
        .into_iter()
        .filter(move |(tool, ..)| permits(tool))
        .map(|(_, href, title, words)| (href, title, words))
}

/// `GET /app/administration`.
pub async fn show(visit: Visit) -> Response {
    let commands: Vec<_> = visit
        .actor
        .tools()
        .into_iter()
        .filter(|tool| {
            let elsewhere = [
                policies::PUBLISH,
                passkeys::REGISTER,
                passkeys::REMOVE,
                providers::SET,
                providers::REMOVE,
                model::SET,
                sessions::END,
            ];
            tool.card.effects == Effects::Administration && !elsewhere.contains(&tool.name())
        })
        .collect();
    let manages = visit.actor.rights.allows(Permission::OrganizationManage, None)
        || visit.actor.rights.allows(Permission::UsersManage, None);
    let lead = if manages {
        "How the organization is run."
    } else {
        "What you may see and change of how the organization is run."
    };
    let body = html! {
        (layout::heading(&[], "Administration", html! { (lead) }, html! {}))
        (list::panel("places", "Look at", None, html! {
            ul.items.places {
                @for (href, title, words) in places(&visit) {
                    li { div.item-top { a.item-title href=(href) { (title) } } p.muted { (words) } }
                }
            }
        }))
        (list::panel("commands", "Change", Some(commands.len() as u32), html! {
            @if commands.is_empty() { (text::empty("Nothing", "None of your roles manages anything of the organization.")) }
            ul.items {
                @for tool in &commands {
                    li { div.item-top { a.item-title href=(paths::command(tool.name(), &[])) { (tool.card.title) } } p.muted { (tool.description()) } }
                }
            }
        }))
    };
    visit.answer(Ok(Page { title: "Administration".into(), part: Part::Administration, body, live: None }))
}
