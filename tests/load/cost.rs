//! What a run cost: processor time and memory, by `/proc`.

use std::path::PathBuf;

use anyhow::{Context, Result};
use outport_tests::usage::cpu_s;
pub use outport_tests::usage::memory_mib;

/// Between two looks.
#[derive(Debug, Clone, Copy, Default)]
pub struct Cost {
    /// Processor time of the process that was measured, in seconds.
    pub own_cpu_s: f64,
    /// Of PostgreSQL's processes that served it, in seconds; without WAL writer, checkpointer and autovacuum.
    pub server_cpu_s: Option<f64>,
    /// The most memory that the process that was measured had resident, in MiB.
    pub peak_mib: f64,
}

impl Cost {
    /// Both together: the rounds of one line.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        let server_cpu_s = match (self.server_cpu_s, other.server_cpu_s) {
            (Some(a), Some(b)) => Some(a + b),
            (a, b) => a.or(b),
        };
        let own_cpu_s = self.own_cpu_s + other.own_cpu_s;
        Self { own_cpu_s, server_cpu_s, peak_mib: self.peak_mib.max(other.peak_mib) }
    }
}

/// A running measurement.
#[derive(Debug)]
pub struct Meter {
    pid: u32,
    own: f64,
    server: Option<f64>,
}

impl Meter {
    /// Begins to measure process `pid` and, where they run on this machine, the database's processes `server`. The
    /// process' own peak of memory begins anew.
    pub fn start(pid: u32, server: Option<Vec<u32>>) -> Result<Self> {
        // proc(5): "5" resets the peak. Needs the same user, nothing more.
        std::fs::write(file(pid, "clear_refs"), "5").context("resetting the peak of memory")?;
        // A server elsewhere has process numbers, too; they are not ours to look up.
        let local = |pids: &Vec<u32>| !pids.is_empty() && pids.iter().all(|pid| is_postgres(*pid));
        let server = server.filter(local).map(|pids| spent_by(&pids));
        Ok(Self { pid, own: cpu_s(pid)?, server })
    }

    /// What it cost since. `server`: the database's processes now; those that are new have worked for nothing else.
    pub fn stop(self, server: Option<Vec<u32>>) -> Result<Cost> {
        let server = self.server.zip(server);
        Ok(Cost {
            own_cpu_s: cpu_s(self.pid)? - self.own,
            server_cpu_s: server.map(|(before, pids)| spent_by(&pids) - before),
            peak_mib: memory_mib(self.pid, "VmHWM")?,
        })
    }
}

fn spent_by(pids: &[u32]) -> f64 {
    // A connection that was closed since has taken its count with it.
    pids.iter().filter_map(|pid| cpu_s(*pid).ok()).sum()
}

fn is_postgres(pid: u32) -> bool {
    std::fs::read_to_string(file(pid, "comm")).is_ok_and(|name| name.trim() == "postgres")
}

fn file(pid: u32, name: &str) -> PathBuf {
    PathBuf::from(format!("/proc/{pid}/{name}"))
}
