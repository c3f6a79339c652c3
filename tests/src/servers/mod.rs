//! Real servers, started by the test that needs them and gone with it.

pub mod cloud;
pub mod container_batch;
pub mod delay;
pub mod fake_batch;
pub mod fake_queue;
pub mod forward;
pub mod ministack;
pub mod moto;
pub mod openssh;
pub mod paramiko;
pub mod podman;
pub mod postgres;
pub mod proftpd;
pub mod proxy;
pub mod scripted;
mod ssh_keys;
pub mod tmpfs;
pub mod webhook;

use std::net::{Ipv4Addr, TcpListener};
use std::path::Path;
use std::process::Command;

use anyhow::{Context, bail};

use crate::child::kill_other;

/// Another process may take the port between our choosing it and the server's binding it.
const PORT_TRIES: u32 = 10;

/// Runs a small program to its end and returns what it printed on standard output.
fn output_of(command: &mut Command) -> anyhow::Result<String> {
    let output = command
        .stdin(std::process::Stdio::null())
        .output()
        .with_context(|| format!("could not start {}", command.get_program().display()))?;
    if !output.status.success() {
        bail!("{command:?} failed: {}", String::from_utf8_lossy(&output.stderr).trim_end());
    }
    String::from_utf8(output.stdout).with_context(|| format!("{command:?} printed no UTF-8"))
}

/// A new empty folder that other users may pass through, below the temporary folder of the run.
fn open_folder(parent: &Path) -> anyhow::Result<tempfile::TempDir> {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::Builder::new()
        .prefix("outport-test-")
        .permissions(std::fs::Permissions::from_mode(0o755))
        .tempdir_in(parent)
        .with_context(|| format!("could not make a folder in {}", parent.display()))?;
    Ok(folder)
}

/// What `tests/run` should have brought is not there.
fn missing(what: &str) -> anyhow::Error {
    anyhow::anyhow!(
        "{what} is missing; hint: start the tests with tests/run [NAME], which brings what they need"
    )
}

/// A port that nobody listens on. The kernel does not give it out again at once.
fn free_port() -> anyhow::Result<u16> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("could not find a free port")?;
    Ok(listener.local_addr().context("could not find a free port")?.port())
}

fn kill_all(processes: &[u32]) -> anyhow::Result<()> {
    processes.iter().map(|&process| kill_other(process)).fold(Ok(()), Result::and)
}
