//! One run of one client.

use std::collections::HashMap;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use outport_tests::process_tree::descendants;
use outport_tests::usage::{cpu_s, ended_children_cpu_s, memory_mib};

use crate::bed::Bed;

/// What a run took.
#[derive(Debug, Clone, Copy)]
pub struct Run {
    /// Time from start to end, in seconds.
    pub wall_s: f64,
    /// Processor time of the client and its children, in seconds.
    pub client_cpu_s: f64,
    /// Processor time of the server for it, in seconds.
    pub server_cpu_s: f64,
    /// The most memory that the client and its children had resident, in MiB.
    pub peak_mib: f64,
}

/// Peaks and times are counters of the kernel: the last look at each counts. A session that ends between two looks has
/// hidden at most so much.
const LOOK: Duration = Duration::from_millis(10);

/// Runs `command` to its end, which has to be a good one with every file in place.
pub fn run(bed: &Bed, mut command: Command) -> Result<Run> {
    let program = command.get_program().display().to_string();
    let me = std::process::id();
    let before = ended_children_cpu_s(me)?;
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
    let started = Instant::now();
    let child = command.spawn().with_context(|| format!("starting {program}"))?;
    let (pid, ended) = (child.id(), AtomicBool::new(false));
    let (output, wall, seen) = std::thread::scope(|scope| {
        let seen = scope.spawn(|| look_until(bed, pid, &ended));
        let output = child.wait_with_output();
        let wall = started.elapsed();
        ended.store(true, Ordering::SeqCst);
        (output, wall, seen.join())
    });
    let output = output.with_context(|| format!("waiting for {program}"))?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{program} ended with {}; it said:\n{said}", output.status);
    bed.wait_until_idle()?;
    let seen = seen.ok().context("looking at the processes")?;
    bed.check_and_clear().with_context(|| format!("after {program}, which said:\n{said}"))?;
    Ok(Run {
        wall_s: wall.as_secs_f64(),
        client_cpu_s: ended_children_cpu_s(me)? - before,
        server_cpu_s: seen.server_cpu_s.values().sum(),
        peak_mib: seen.peak_mib.values().sum(),
    })
}

/// By process.
#[derive(Default)]
struct Seen {
    peak_mib: HashMap<u32, f64>,
    server_cpu_s: HashMap<u32, f64>,
}

/// Looks at the client with its descendants and at the server's sessions. Not at what the server's children report to
/// it when they end: a session does not wait for the process that writes its files.
fn look_until(bed: &Bed, pid: u32, ended: &AtomicBool) -> Seen {
    let mut seen = Seen::default();
    while !ended.load(Ordering::SeqCst) {
        // One that has ended shows nothing any more; before it ran its program, a process showed its parent's memory.
        for process in descendants(pid).into_iter().chain([pid]) {
            memory_mib(process, "VmHWM").map(|peak| seen.peak_mib.insert(process, peak)).ok();
        }
        for process in bed.server.session_processes() {
            cpu_s(process).map(|time| seen.server_cpu_s.insert(process, time)).ok();
        }
        std::thread::sleep(LOOK);
    }
    seen
}
