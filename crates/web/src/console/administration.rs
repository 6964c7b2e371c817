//! Where running the organization begins: its policies, its log, and every command about it that the visitor may use.

use axum::response::Response;
use domain::permission::Permission;
use engine::tool::Effects;
use maud::html;

use super::parts::layout::{self, Part};
use super::parts::{list, text};
use super::visit::{Page, Visit};
use super::{passkeys, paths, policies, providers, sessions};

/// `GET /app/administration`.
pub async fn show(visit: Visit) -> Response {
    let permits = |name: &str| engine::tools::find(name).is_some_and(|tool| visit.actor.permits(&tool.card));
    let places = [
        (
            "loopiq_get_policies",
            paths::POLICIES,
            "Policies",
            "Who may do what, and what needs whose approval; every version with who, when and why.",
        ),
        (
            "loopiq_list_audit_records",
            paths::AUDIT,
            "Audit log",
            "Every decision, write, refusal and read, with its proof.",
        ),
        (
            "loopiq_list_identity_providers",
            paths::PROVIDERS,
            "Identity providers",
            "Services of your company through which people sign in.",
        ),
        ("loopiq_list_passkeys", paths::PASSKEYS, "Passkeys", "Who signs approvals, and with what."),
        (
            "loopiq_list_sessions",
            paths::SESSIONS,
            "Sessions",
            "Who is signed in to this organization, since when.",
        ),
    ];
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
            ul.items {
                @for (_, href, title, words) in places.iter().filter(|(tool, ..)| permits(tool)) {
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
