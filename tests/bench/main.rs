//! How fast `outport send` is against the tools that people use today (issue 4, "Bench"): prints tables, fails only
//! when a file does not arrive as it was.
//!
//! ```sh
//! tests/run --bench                                # everything; brings OpenSSH, lftp, rclone and curl
//! tests/run --bench --rows large,small --rounds 7  # some rows; --help has all options
//! ```
//!
//! Every client sends the same files to the same OpenSSH server on loopback, with the same key, from and to a folder
//! in memory, so that no disk is measured. Rounds are interleaved: each client once, then each once more, beginning
//! with another one each time; whatever else the machine does meets all alike. Given are medians; a ratio is the
//! median of the ratios within the rounds. After every run each file is compared with its source byte by byte.
//!
//! *CPU* is user and system time of the client with its children, and of the server's processes for it. *RSS* is the
//! most that the client and its children had resident. Server and RSS are looked at every 10 ms.
//!
//! The row *engine* sends through `outport up`: from the moment the files are put into the bucket until all stand at the
//! server, with snapshot, ledger (SQLite, every commit on the disk) and receipts.
//!
//! `outport send` writes to a temporary name, verifies the size, renames, looks once more, and knows the SHA-256 of what it
//! sent. The others do what they do by default; where `sftp` is to rename too, the row says so.

mod bed;
mod client;
mod engine;
mod measure;
mod options;
mod rows;
mod table;

use std::process::ExitCode;

use clap::Parser;

use options::{Options, Row};

fn main() -> ExitCode {
    match measure(&Options::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(fault) => {
            eprintln!("bench: {fault:#}");
            ExitCode::FAILURE
        }
    }
}

fn measure(options: &Options) -> anyhow::Result<()> {
    println!("{}", bed::machine(options)?);
    let clients = client::installed();
    for missing in client::Client::ALL.iter().filter(|client| !clients.contains(client)) {
        println!("NOT MEASURED: {missing} is not installed; the numbers below say nothing about it");
    }
    for row in options.rows() {
        eprintln!("measuring {row}");
        let table = match row {
            Row::Large => rows::large(options, &clients)?,
            Row::Small => rows::small(options, &clients)?,
            Row::FarLarge => rows::far_large(options, &clients)?,
            Row::FarSmall => rows::far_small(options, &clients)?,
            Row::Memory => rows::memory(options)?,
            Row::Engine => {
                println!("\n{}", engine::table(options)?);
                continue;
            }
        };
        println!("\n{table}");
    }
    println!("load average at the end: {}", bed::load_average());
    Ok(())
}
