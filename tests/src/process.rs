//! The built `outport` binary as a child process.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::Context;

use crate::child::{Child, Stream};

/// How long [`Outport::run`] waits: far more than any command takes, far less than a stuck run costs.
const RUN_LIMIT: Duration = Duration::from_secs(120);

/// A call of `outport`, not made yet. No `OUTPORT_*` variable of the surroundings reaches it.
#[derive(Debug)]
pub struct Outport {
    command: Command,
}

/// What a call of `outport` came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finished {
    /// The exit code; `None` if a signal ended it.
    pub code: Option<i32>,
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
}

impl Outport {
    /// `outport ARGUMENTS...` in folder `folder`.
    ///
    /// # Panics
    /// If the binary is not built.
    pub fn new<A: AsRef<OsStr>>(folder: &Path, arguments: impl IntoIterator<Item = A>) -> Self {
        let mut command = Command::new(binary());
        command.args(arguments).current_dir(folder);
        for (name, _) in std::env::vars_os() {
            if name.as_encoded_bytes().starts_with(b"OUTPORT_") {
                command.env_remove(name);
            }
        }
        Self { command }
    }

    /// Sets an environment variable.
    #[must_use]
    pub fn env(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        self.command.env(name, value);
        self
    }

    /// Starts it and leaves it running.
    ///
    /// # Errors
    /// If it cannot be started.
    pub fn start(self) -> anyhow::Result<Child> {
        Child::start("outport", self.command)
    }

    /// Runs it to its end, whatever its exit code.
    ///
    /// # Errors
    /// If it cannot be started, or has not ended within two minutes (it is killed then).
    pub fn run(self) -> anyhow::Result<Finished> {
        let mut child = self.start()?;
        let status = child.wait(RUN_LIMIT)?;
        Ok(Finished {
            code: status.code(),
            stdout: child.printed(Stream::Out),
            stderr: child.printed(Stream::Err),
        })
    }
}

/// The binary that belongs to this program: `target/PROFILE/outport` beside `target/PROFILE/deps/suite-...` or
/// `target/PROFILE/load`.
///
/// # Panics
/// If it is not there.
pub fn binary() -> PathBuf {
    match find_binary() {
        Ok(binary) => binary,
        Err(fault) => panic!("{fault:#}"),
    }
}

fn find_binary() -> anyhow::Result<PathBuf> {
    let program = std::env::current_exe().context("could not find out where this test program lies")?;
    let folder = program.parent().context("this program lies in no folder")?;
    let profile = if folder.ends_with("deps") { folder.parent().unwrap_or(folder) } else { folder };
    let binary = profile.join("outport");
    anyhow::ensure!(
        binary.is_file(),
        "{} is not there: run `cargo build --workspace` first",
        binary.display()
    );
    Ok(binary)
}
