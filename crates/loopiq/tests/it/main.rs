//! Stories through the real binary: what a new user does, over HTTP, with real MCP clients, in a browser, and with the server killed in
//! the middle.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests"
)]

mod access;
mod administration;
mod agent_examples;
mod agents;
mod assistant;
mod at_once;
mod attacks;
mod attacks_on_sign_in;
mod audit_log;
mod browser;
mod browser_pages;
mod browser_people;
mod certifications;
mod client_shapes;
mod clients;
mod command_line;
mod conformance;
mod connecting;
mod crash;
mod crash_points;
mod decisions;
mod devtools;
mod evidence_by_hand;
mod evidence_pack;
mod evidence_store;
mod exceptions;
mod failover;
mod governance_pages;
mod governed_write;
mod identity_assertions;
mod issuer;
mod live;
mod model;
mod nodes;
mod oauth;
mod oauth_clients;
mod oauth_documents;
mod oidc;
mod outside_tokens;
mod pages;
mod passkey_sign_in;
mod passkeys;
mod pictures;
mod policies;
mod protocol;
mod refresh;
mod refusals;
mod releases;
mod rigor;
mod rollback;
mod scim;
mod server;
mod sessions;
mod sizes;
mod stranger;
mod sweep;
mod tenancy;
mod tokens;
mod webhooks;
mod work_items;
