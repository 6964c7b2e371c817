//! LoopIQ MCP: the binary. Parses the command line, loads the configuration, wires the parts, runs a subcommand.

mod cli;
mod config;
mod demo;
mod model;
mod outbound;
mod remote;
mod serve;
mod system;
mod telemetry;
mod webhooks;
mod wire;

use std::process::ExitCode;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    cli::run()
}
