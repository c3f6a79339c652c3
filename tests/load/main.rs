//! The engine's numbers (issue 3, "Load"): prints a table, asserts nothing about time.
//!
//! ```sh
//! cargo build --release --workspace --bins
//! OUTPORT_TEST_POSTGRES=postgres://... target/release/load              # every row
//! target/release/load --rows deliveries,stuck --on sqlite --rounds 5
//! target/release/load --quick                                           # what `tests/run --full` prints
//! ```
//!
//! # What is driven, and how
//!
//! `deliveries`, `dispatch`, `stuck`, `claims` and `replay` call the store's own verbs from this process, with the concurrency of
//! the sender (`courier`): one loop that claims, and up to `--places` attempts at a time, each the product's own
//! upload protocol (`outport_send::deliver`) over a server in memory, with the fenced stage write before the rename and
//! the finish after it. What is missing against `outport up` is a wire, an artifact store, logs, and a heartbeat each
//! 10 s: this is what the *engine* costs. In this process, because only here can a partner be nowhere: a release binary must hold
//! no switch that "delivers" into nothing.
//!
//! `cloud` is all of it against moto: events from its SQS, files from its S3 (a program in Python, which is most of what is measured), the
//! transform, and a partner in this process.
//!
//! `pick-up`, `idle` and `memory` are about a whole process, so they start the built `outport up` and give it an SFTP
//! server that runs in this process.
//!
//! # What it may claim
//!
//! A missed goal is printed, never an error: a busy machine is no bug. A ledger that does not balance *is* one: after each
//! run every delivery that was put in must have been renamed exactly once on the server in memory, be `delivered` in the
//! database, and leave the invariants of docs/STATES.md whole; if not, the program says what is wrong and exits 1.
//!
//! Two settings are compared in alternating rounds and the medians are given, so that whatever else the machine does
//! meets both alike. Rates are counted between the first and the last tenths of a run: warm-up and the drain of the last
//! lanes are left out.

mod backlog;
mod bed;
mod cost;
mod courier;
mod ledger;
mod machine;
mod options;
mod rows;
mod table;
mod world;
mod writes;

use std::process::ExitCode;

use clap::Parser;

use options::{Options, Row};
use outport_tests::statistics;
use table::Table;

fn main() -> ExitCode {
    let options = Options::parse().effective();
    match measure(&options) {
        Ok(()) => ExitCode::SUCCESS,
        Err(fault) => {
            eprintln!("load: {fault:#}");
            ExitCode::FAILURE
        }
    }
}

fn measure(options: &Options) -> anyhow::Result<()> {
    println!("{}", machine::describe(options)?);
    let mut table = Table::default();
    for row in options.rows() {
        eprintln!("measuring {row}");
        let measured = match row {
            Row::Deliveries => rows::deliveries::measure(options, &mut table),
            Row::Dispatch => rows::dispatch::measure(options, &mut table),
            Row::Stuck => rows::stuck::measure(options, &mut table),
            Row::Claims => rows::claims::measure(options, &mut table),
            Row::PickUp => rows::pick_up::measure(options, &mut table),
            Row::Idle => rows::idle::measure(options, &mut table),
            Row::Memory => rows::memory::measure(options, &mut table),
            Row::Replay => rows::replay::measure(options, &mut table),
            Row::Cloud => rows::cloud::measure(options, &mut table),
        };
        if let Err(fault) = measured {
            // What was measured until here is worth seeing.
            println!("{table}");
            return Err(fault.context(format!("in the row {row}")));
        }
    }
    println!("{table}");
    Ok(())
}
