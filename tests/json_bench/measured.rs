//! `measured --limit SECONDS [--stdout FILE] -- COMMAND...`: runs a command and prints what it took, as one line of JSON:
//! `wall_s`, `cpu_s` (user and system, with all children that were waited for), `peak_kib` (the most that one process of them
//! had resident), and `exit`, `signal`, or neither if it had to be stopped. What the command says on standard error is passed on.

use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::{Command, ExitCode};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use clap::Parser;
use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeValLike;
use outport_tests::child::{Child, Stream};
use serde_json::json;

#[derive(Parser)]
struct Arguments {
    /// Seconds; then the command is killed
    #[arg(long)]
    limit: u64,
    /// Where the command's standard output goes to
    #[arg(long)]
    stdout: Option<PathBuf>,
    #[arg(last = true, required = true)]
    command: Vec<String>,
}

fn main() -> ExitCode {
    match measure(&Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(fault) => {
            eprintln!("measured: {fault:#}");
            ExitCode::FAILURE
        }
    }
}

fn measure(arguments: &Arguments) -> Result<()> {
    // Inherited: where memory runs out, the kernel is to end the command and nothing else of this machine.
    std::fs::write("/proc/self/oom_score_adj", "1000")
        .context("asking to be the first that the kernel ends")?;
    let mut command;
    if let Some(file) = &arguments.stdout {
        command = Command::new("/bin/sh");
        command.args(["-c", "exec \"$@\" >\"$0\""]).arg(file).args(&arguments.command);
    } else {
        command = Command::new(&arguments.command[0]);
        command.args(&arguments.command[1..]);
    }
    let started = Instant::now();
    let mut child = Child::start(&arguments.command[0], command)?;
    let ended = child.wait(Duration::from_secs(arguments.limit));
    let wall_s = started.elapsed().as_secs_f64();
    let (mut exit, mut signal) = (None, None);
    match ended {
        Ok(status) => (exit, signal) = (status.code(), status.signal()),
        Err(fault) => {
            child.kill()?;
            eprintln!("{fault:#}");
        }
    }
    eprint!("{}", child.printed(Stream::Err));
    let usage = getrusage(UsageWho::RUSAGE_CHILDREN).context("asking what the children took")?;
    let cpu_us = usage.user_time().num_microseconds() + usage.system_time().num_microseconds();
    let (cpu_s, peak_kib) = (cpu_us as f64 / 1e6, usage.max_rss());
    println!(
        "{}",
        json!({ "wall_s": wall_s, "cpu_s": cpu_s, "peak_kib": peak_kib, "exit": exit, "signal": signal })
    );
    Ok(())
}
