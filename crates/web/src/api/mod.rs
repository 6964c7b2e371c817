//! The HTTP API for the console's scripts, the command line and pipelines. [`ROUTES`] is the one table: the router is
//! folded from it and the OpenAPI document is written from it, so neither can know an address the other does not.
//! Add an endpoint: a handler in the file of its resource, and its line in the table.
//!
//! Reads and writes of records go through the tools, by the same door as MCP; what only people may do (sign in,
//! choose an organization, decide an action) has handlers of its own.

mod actions;
mod assistant;
pub mod certifications;
mod clients;
mod evidence;
mod log;
mod openapi;
mod organizations;
mod policies;
mod session;
mod sessions;
mod tools;
mod webhooks;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::routing::{MethodRouter, delete, get, post, put};

use crate::State;

/// Who may ask.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Who {
    Anybody,
    /// A token or a session.
    Caller,
    /// A person's browser session only.
    Person,
}

/// What an address takes and gives, for the description.
#[derive(Debug, Clone, Copy)]
pub enum Shape {
    SignIn,
    SignedIn,
    Me,
    Sessions,
    Clients,
    Nothing,
    Action,
    Reason,
    /// Perhaps a signature.
    Approval,
    Confirmation,
    EvidenceFiles,
    EvidencePushed,
    /// Arguments of the tool named in the path.
    AnyArguments,
    /// Answer of the tool named in the path.
    AnyAnswer,
    /// Answer of this tool, whose arguments are taken from path and query.
    Answer(&'static str),
    Document,
    /// A signed note.
    Note,
    /// Bytes of a tile.
    Tile,
    /// An evidence pack.
    Pack,
    /// A proof bundle.
    Bundle,
    Inclusion,
    Consistency,
    /// A signing secret, once.
    Secret,
    /// What the assistant may do.
    Abilities,
    Conversations,
    Conversation,
    Question,
    Answered,
    /// The key of a language model.
    ModelKey,
    /// A draft of policies, and what came of trying it.
    Trial,
    Tried,
}

/// One address and method.
pub struct Route {
    pub method: &'static str,
    pub path: &'static str,
    pub summary: &'static str,
    pub who: Who,
    pub takes: Shape,
    pub gives: Shape,
    handler: fn() -> MethodRouter<State>,
}

/// A read tool at an address of its own: `{…}` in the path and the query string are its arguments.
macro_rules! read {
    ($path:literal, $tool:literal, [$($part:literal => $argument:literal),*], $summary:literal) => {
        Route {
            method: "get", path: $path, summary: $summary, who: Who::Caller, takes: Shape::Nothing,
            gives: Shape::Answer($tool),
            handler: || get(|state, access, path, query| {
                tools::read(state, access, path, query, $tool, &[$(($part, $argument)),*])
            }),
        }
    };
}

pub static ROUTES: &[Route] = &[
    Route {
        method: "post",
        path: "/api/v1/session",
        summary: "Sign in with e-mail and password; sets the session cookie.",
        who: Who::Anybody,
        takes: Shape::SignIn,
        gives: Shape::SignedIn,
        handler: || post(session::sign_in),
    },
    Route {
        method: "delete",
        path: "/api/v1/session",
        summary: "Sign out.",
        who: Who::Person,
        takes: Shape::Nothing,
        gives: Shape::Nothing,
        handler: || delete(session::sign_out),
    },
    Route {
        method: "get",
        path: "/api/v1/sessions",
        summary: "One's own open browser sessions.",
        who: Who::Person,
        takes: Shape::Nothing,
        gives: Shape::Sessions,
        handler: || get(sessions::list),
    },
    Route {
        method: "delete",
        path: "/api/v1/sessions/{id}",
        summary: "End one of one's own browser sessions; it is over with the next request.",
        who: Who::Person,
        takes: Shape::Nothing,
        gives: Shape::Nothing,
        handler: || delete(sessions::end),
    },
    Route {
        method: "get",
        path: "/api/v1/clients",
        summary: "Clients that one has let in by OAuth, in every organization.",
        who: Who::Person,
        takes: Shape::Nothing,
        gives: Shape::Clients,
        handler: || get(clients::list),
    },
    Route {
        method: "delete",
        path: "/api/v1/clients/{id}",
        summary: "End what a client was allowed; it is let in no longer from the next request on.",
        who: Who::Person,
        takes: Shape::Nothing,
        gives: Shape::Nothing,
        handler: || delete(clients::end),
    },
    Route {
        method: "get",
        path: "/api/v1/me",
        summary: "Who calls, in which organization, with which rights.",
        who: Who::Caller,
        takes: Shape::Nothing,
        gives: Shape::Me,
        handler: || get(session::me),
    },
    Route {
        method: "post",
        path: "/api/v1/organizations/{slug}/select",
        summary: "Choose the organization this session works in.",
        who: Who::Person,
        takes: Shape::Nothing,
        gives: Shape::Me,
        handler: || post(organizations::select),
    },
    read!(
        "/api/v1/context",
        "loopiq_get_context",
        [],
        "Organization, teams, roles and permissions of the caller."
    ),
    read!("/api/v1/teams", "loopiq_list_teams", [], "Teams."),
    read!(
        "/api/v1/access",
        "loopiq_explain_access",
        [],
        "Who may do what, by which policy, and whose approval it needs."
    ),
    read!("/api/v1/search", "loopiq_search", [], "Find records by words of their titles."),
    read!("/api/v1/releases", "loopiq_list_releases", [], "Releases."),
    read!("/api/v1/releases/{release}", "loopiq_get_release", ["release" => "release"], "One release, by id or name."),
    Route {
        method: "post",
        path: "/api/v1/releases/{release}/evidence",
        summary: "Push evidence files: one as the raw body, or several as multipart/form-data.",
        who: Who::Caller,
        takes: Shape::EvidenceFiles,
        gives: Shape::EvidencePushed,
        // The framework's own limit of 2 MiB would come first; the handler keeps the setting's.
        handler: || post(evidence::push).layer(DefaultBodyLimit::disable()),
    },
    read!(
        "/api/v1/releases/{release}/difference",
        "loopiq_compare_releases",
        ["release" => "release"],
        "What is new, gone and still there in a release, compared with another."
    ),
    read!("/api/v1/certifications", "loopiq_list_release_certifications", [], "Certifications."),
    read!(
        "/api/v1/certifications/{id}",
        "loopiq_get_release_certification",
        ["id" => "certificationId"],
        "One certification with its controls."
    ),
    read!(
        "/api/v1/certifications/{id}/graph",
        "loopiq_get_release_certification_evidence_graph",
        ["id" => "certificationId"],
        "The evidence graph of a certification."
    ),
    read!(
        "/api/v1/certifications/{id}/readiness",
        "loopiq_get_readiness_history",
        ["id" => "certificationId"],
        "How ready a certification was found over time."
    ),
    Route {
        method: "get",
        path: "/api/v1/certifications/{id}/pack",
        summary: "The evidence pack of a certification: everything it is evaluated from, and a signed statement, as a zip file.",
        who: Who::Caller,
        takes: Shape::Nothing,
        gives: Shape::Pack,
        handler: || get(certifications::pack),
    },
    read!("/api/v1/evidence", "loopiq_list_evidence", [], "Evidence."),
    read!("/api/v1/gaps", "loopiq_list_evidence_gaps", [], "Evidence gaps."),
    read!("/api/v1/blockers", "loopiq_list_provider_blockers", [], "Provider blockers."),
    read!("/api/v1/risks", "loopiq_list_risks", [], "Risks and exceptions."),
    read!("/api/v1/work-items", "loopiq_list_work_items", [], "Work items."),
    read!("/api/v1/work-items/{id}", "loopiq_get_work_item", ["id" => "workItemId"], "One work item."),
    read!("/api/v1/audit", "loopiq_list_audit_records", [], "Audit records."),
    Route {
        method: "get",
        path: "/api/v1/log/checkpoint",
        summary: "The newest signed head of the audit log, as a signed note (c2sp.org/tlog-checkpoint).",
        who: Who::Caller,
        takes: Shape::Nothing,
        gives: Shape::Note,
        handler: || get(log::checkpoint),
    },
    Route {
        method: "get",
        path: "/api/v1/log/bundle",
        summary: "The whole audit log with all that is needed to verify it without this server, as JSON lines.",
        who: Who::Caller,
        takes: Shape::Nothing,
        gives: Shape::Bundle,
        handler: || get(log::bundle),
    },
    read!(
        "/api/v1/log/growth",
        "loopiq_get_log_growth",
        [],
        "How the audit log grew, and when its heads were signed."
    ),
    Route {
        method: "get",
        path: "/api/v1/log/tile/{*path}",
        summary: "A tile of the log, or a bundle of its entries, by its path in c2sp.org/tlog-tiles.",
        who: Who::Caller,
        takes: Shape::Nothing,
        gives: Shape::Tile,
        handler: || get(log::tile),
    },
    Route {
        method: "get",
        path: "/api/v1/log/records/{sequence}/proof",
        summary: "The proof that a record is under the newest signed head.",
        who: Who::Caller,
        takes: Shape::Nothing,
        gives: Shape::Inclusion,
        handler: || get(log::inclusion),
    },
    Route {
        method: "get",
        path: "/api/v1/log/consistency/{first}",
        summary: "The proof that the first records are the beginning of the newest signed head.",
        who: Who::Caller,
        takes: Shape::Nothing,
        gives: Shape::Consistency,
        handler: || get(log::consistency),
    },
    read!(
        "/api/v1/actions",
        "loopiq_list_actions",
        [],
        "Governed actions; `state` may be given for `status`."
    ),
    read!(
        "/api/v1/approvals/figures",
        "loopiq_get_approval_figures",
        [],
        "How actions were decided over time, and by whom for administrators."
    ),
    Route {
        method: "get",
        path: "/api/v1/actions/{id}",
        summary: "One action with its approval card.",
        who: Who::Caller,
        takes: Shape::Nothing,
        gives: Shape::Action,
        handler: || get(actions::show),
    },
    Route {
        method: "post",
        path: "/api/v1/actions/{id}/approve",
        summary: "Approve and run; signed with a passkey where a rule asks for it.",
        who: Who::Person,
        takes: Shape::Approval,
        gives: Shape::Action,
        handler: || post(actions::approve),
    },
    Route {
        method: "get",
        path: "/api/v1/actions/{id}/confirmation",
        summary: "What an authenticator is asked to sign for an approval.",
        who: Who::Caller,
        takes: Shape::Nothing,
        gives: Shape::Confirmation,
        handler: || get(actions::confirmation),
    },
    Route {
        method: "post",
        path: "/api/v1/actions/{id}/reject",
        summary: "Reject, saying why.",
        who: Who::Person,
        takes: Shape::Reason,
        gives: Shape::Action,
        handler: || post(actions::reject),
    },
    Route {
        method: "post",
        path: "/api/v1/actions/{id}/withdraw",
        summary: "Take back what one has proposed oneself.",
        who: Who::Caller,
        takes: Shape::Reason,
        gives: Shape::Action,
        handler: || post(actions::withdraw),
    },
    Route {
        method: "post",
        path: "/api/v1/actions/{id}/break-glass",
        summary: "Approve alone and run, past the rules, saying why; somebody else reviews it.",
        who: Who::Person,
        takes: Shape::Reason,
        gives: Shape::Action,
        handler: || post(actions::break_glass),
    },
    Route {
        method: "post",
        path: "/api/v1/actions/{id}/review",
        summary: "Note that one has looked at a broken glass.",
        who: Who::Person,
        takes: Shape::Nothing,
        gives: Shape::Action,
        handler: || post(actions::review),
    },
    Route {
        method: "post",
        path: "/api/v1/tools/{name}",
        summary: "Call any tool with its arguments as the body.",
        who: Who::Caller,
        takes: Shape::AnyArguments,
        gives: Shape::AnyAnswer,
        handler: || post(tools::call),
    },
    Route {
        method: "post",
        path: "/api/v1/policies/draft",
        summary: "Try a draft of policies: read it, run tests on it, ask it about the past. Nothing is changed.",
        who: Who::Caller,
        takes: Shape::Trial,
        gives: Shape::Tried,
        handler: || post(policies::try_draft),
    },
    Route {
        method: "post",
        path: "/api/v1/webhooks/{id}/secret",
        summary: "Make a new signing secret for a webhook; the one before is good for nothing from then on.",
        who: Who::Caller,
        takes: Shape::Nothing,
        gives: Shape::Secret,
        handler: || post(webhooks::new_secret),
    },
    Route {
        method: "put",
        path: "/api/v1/model/key",
        summary: "Keep the key of the organization's language model, good for its address as it is now; it is never shown again.",
        who: Who::Person,
        takes: Shape::ModelKey,
        gives: Shape::Nothing,
        handler: || put(assistant::keep_key),
    },
    Route {
        method: "get",
        path: "/api/v1/assistant",
        summary: "What the assistant may do for one on a page, and what may be asked to begin with.",
        who: Who::Person,
        takes: Shape::Nothing,
        gives: Shape::Abilities,
        handler: || get(assistant::abilities),
    },
    Route {
        method: "get",
        path: "/api/v1/assistant/conversations",
        summary: "One's own conversations with the assistant.",
        who: Who::Person,
        takes: Shape::Nothing,
        gives: Shape::Conversations,
        handler: || get(assistant::list),
    },
    Route {
        method: "post",
        path: "/api/v1/assistant/conversations",
        summary: "Ask the assistant, beginning a conversation. What it plans is proposed only when asked for, and approved on its card.",
        who: Who::Person,
        takes: Shape::Question,
        gives: Shape::Answered,
        handler: || post(assistant::begin),
    },
    Route {
        method: "get",
        path: "/api/v1/assistant/conversations/{id}",
        summary: "One conversation with all that was said.",
        who: Who::Person,
        takes: Shape::Nothing,
        gives: Shape::Conversation,
        handler: || get(assistant::show),
    },
    Route {
        method: "delete",
        path: "/api/v1/assistant/conversations/{id}",
        summary: "Delete a conversation with all that was said.",
        who: Who::Person,
        takes: Shape::Nothing,
        gives: Shape::Nothing,
        handler: || delete(assistant::delete),
    },
    Route {
        method: "post",
        path: "/api/v1/assistant/conversations/{id}/turns",
        summary: "Ask the assistant one more question in a conversation.",
        who: Who::Person,
        takes: Shape::Question,
        gives: Shape::Answered,
        handler: || post(assistant::go_on),
    },
    Route {
        method: "get",
        path: "/api/v1/openapi.json",
        summary: "This description.",
        who: Who::Anybody,
        takes: Shape::Nothing,
        gives: Shape::Document,
        handler: || get(openapi::show),
    },
];

pub fn router() -> Router<State> {
    ROUTES.iter().fold(Router::new(), |router, route| router.route(route.path, (route.handler)()))
}
