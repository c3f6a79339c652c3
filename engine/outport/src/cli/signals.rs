//! The signals that ask a process to end.

use std::sync::Arc;

use outport_core::{Fault, code};
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::engine::Engine;

/// The signals that ask a process to end.
pub struct Signals {
    term: Signal,
    int: Signal,
    hup: Option<Signal>,
}

impl Signals {
    /// From here on they do not kill the process by themselves.
    pub fn listen() -> Result<Self, Fault> {
        Ok(Self { term: heard(SignalKind::terminate())?, int: heard(SignalKind::interrupt())?, hup: None })
    }

    /// The same, and the end of the terminal (SIGHUP) too.
    pub fn listen_in_terminal() -> Result<Self, Fault> {
        let hup = if ignores_hangup() { None } else { Some(heard(SignalKind::hangup())?) };
        Ok(Self { hup, ..Self::listen()? })
    }

    /// The first signal: its number.
    pub async fn first(mut self) -> i32 {
        let hangup = async {
            match &mut self.hup {
                Some(hup) => hup.recv().await,
                None => std::future::pending().await,
            }
        };
        let kind = tokio::select! {
            _ = self.term.recv() => SignalKind::terminate(),
            _ = self.int.recv() => SignalKind::interrupt(),
            _ = hangup => SignalKind::hangup(),
        };
        kind.as_raw_value()
    }

    /// The first signal drains, the second one ends the process at once.
    pub async fn stop(mut self, engine: Arc<Engine>) {
        for round in 0..2 {
            tokio::select! {
                _ = self.term.recv() => {}
                _ = self.int.recv() => {}
            }
            if round == 0 {
                tracing::info!("stopping: running work may end; a second signal ends it at once");
                engine.stop();
            } else {
                tracing::warn!(
                    "ended at once by a second signal; leases are freed at the next start or when they expire"
                );
                std::process::exit(1);
            }
        }
    }
}

fn heard(kind: SignalKind) -> Result<Signal, Fault> {
    signal(kind)
        .map_err(|error| Fault::new(&code::IO_FAILED, format!("could not listen for signals: {error}")))
}

/// Whether the process was started with SIGHUP ignored, as by `nohup`: then it is to go on without its terminal. Where nobody says,
/// too: the signal does what it does by default, or nothing.
fn ignores_hangup() -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    // One bit a signal, the first for SIGHUP.
    mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).is_none_or(|mask| mask & 1 == 1)
}
