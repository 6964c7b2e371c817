//! Tests of the domain from outside: state machine, rights, vocabulary, evaluation, graph, log. One binary, so that it
//! links once. Most are properties: the rule is stated, and many random cases are tried against it.

#![expect(clippy::indexing_slicing, reason = "what stands beside the tests fails by panicking, as they do")]

mod action;
mod bundle;
mod compact;
mod evaluation;
mod graph;
mod log;
mod permission;
mod scim;
mod vocabulary;
mod world;
