//! The `outport` binary: configuration, wiring, roles, command line.

mod cli;
mod config;
mod connection;
mod crash_point;
mod data_folder;
mod definitions;
mod demo;
mod engine;
mod executor;
mod health;
mod logging;
mod metrics;
mod nearest;
mod output;
mod put;
mod reconcile;
mod roles;
mod secrets;
mod spec_file;
mod storage;
mod toml_line;
mod webhook;

use std::process::ExitCode;

fn main() -> ExitCode {
    cli::main()
}
