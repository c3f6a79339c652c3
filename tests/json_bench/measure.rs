//! One run of one tool.

use std::fs::File;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use outport_tests::child::{Child, Stream};
use outport_tests::comparison::{End, Output, Run, count};
use serde_json::Value;

use crate::bed::{Bed, Input};
use crate::tool::{Call, Setting, Tool};

/// How much longer than a run its watcher may take: it kills, waits and prints.
const WATCHER: Duration = Duration::from_secs(60);

/// Runs `tool` to its end, good or bad, and reads back what it wrote.
pub fn run(bed: &Bed, tool: Tool, setting: &Setting, input: &Input, limit: Duration) -> Result<Run> {
    let call = tool.call(setting, bed, input);
    let (mut run, said) = watched(bed, &call, limit)?;
    if run.end.is_good() {
        run.output = call.csv.as_deref().map(read_back).transpose()?.flatten();
    } else {
        // Ours says the reason and then a hint; a traceback of Python ends with the reason.
        let lines: Vec<&str> = said.lines().filter(|line| !line.is_empty()).collect();
        let last = lines[lines.len().saturating_sub(2)..].join(" / ");
        eprintln!("  {tool} on {} ended with {}: {last}", input.shape.name(), run.end);
    }
    bed.clear()?;
    Ok(run)
}

/// Through `measured`, a small program of its own: before a program runs, its process is its parent's memory, and that
/// counts as its peak (execve(2) keeps it).
fn watched(bed: &Bed, call: &Call, limit: Duration) -> Result<(Run, String)> {
    let mut command = Command::new(std::env::current_exe()?.with_file_name("measured"));
    command.arg("--limit").arg(limit.as_secs().to_string()).current_dir(bed.folder());
    if let Some(file) = &call.stdout {
        command.arg("--stdout").arg(file);
    }
    command.arg("--").arg(call.command.get_program()).args(call.command.get_args());
    for (name, value) in call.command.get_envs() {
        value.map(|value| command.env(name, value));
    }
    let mut watcher = Child::start("measured", command)?;
    let status = watcher.wait(limit + WATCHER)?;
    let said = watcher.printed(Stream::Err);
    ensure!(status.success(), "measured ended with {status}; it said:\n{said}");
    let told: Value =
        serde_json::from_str(&watcher.printed(Stream::Out)).context("reading what measured told")?;
    let number = |name: &str| told[name].as_f64().with_context(|| format!("measured told no {name}"));
    let small = |name: &str| told[name].as_i64().and_then(|n| i32::try_from(n).ok());
    let end = match (small("exit"), small("signal")) {
        (Some(code), _) => End::Exit(code),
        (None, Some(signal)) => End::Signal(signal),
        (None, None) => End::TimedOut,
    };
    let run = Run {
        wall_s: number("wall_s")?,
        cpu_s: number("cpu_s")?,
        peak_mb: number("peak_kib")? * 1024.0 / 1e6,
        end,
        output: None,
    };
    Ok((run, said))
}

/// `None`: nothing there.
fn read_back(csv: &Path) -> Result<Option<Output>> {
    match File::open(csv) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error).with_context(|| format!("opening {}", csv.display())),
        Ok(file) => count(file).map(Some).with_context(|| format!("reading {} as CSV", csv.display())),
    }
}
