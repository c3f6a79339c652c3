//! MiniStack: a second stand-in for AWS, by others than moto. Its events of S3 carry versions and sequencers.

use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use super::{PORT_TRIES, free_port, missing};
use crate::child::{Child, Stream};
use crate::set::{Set, Skip, set};

/// It starts in two seconds, on a busy machine in many.
const START_LIMIT: Duration = Duration::from_secs(120);

/// A running MiniStack, empty. Dropping it ends it.
#[derive(Debug)]
pub struct MiniStack {
    _child: Child,
    endpoint: String,
}

impl MiniStack {
    /// Starts one.
    ///
    /// # Errors
    /// [`Skip`] in the embedded set; anything else is a failure: none is there (`OUTPORT_TEST_MINISTACK` is not set), or one
    /// that does not start.
    pub fn start() -> anyhow::Result<Self> {
        if set() == Set::Embedded {
            return Err(Skip::because("the embedded set starts no servers"));
        }
        let program = std::env::var_os("OUTPORT_TEST_MINISTACK").map(PathBuf::from);
        let program = program.ok_or_else(|| missing("MiniStack (OUTPORT_TEST_MINISTACK)"))?;
        let mut failed = None;
        for _ in 0..PORT_TRIES {
            let port = free_port()?;
            let mut command = Command::new(&program);
            // Without the first one it listens everywhere.
            command.env("BIND_HOST", "127.0.0.1").env("GATEWAY_PORT", port.to_string());
            command.env("PYTHONUNBUFFERED", "1");
            let child = Child::start("ministack", command)?;
            // The port may be somebody else's by now: then it ends.
            match child.wait_for_line(Stream::Err, "Running on http://", START_LIMIT) {
                Ok(_) => return Ok(Self { _child: child, endpoint: format!("http://127.0.0.1:{port}") }),
                Err(error) => failed = Some(error),
            }
        }
        Err(failed.unwrap_or_else(|| missing("a free port")))
    }

    /// `http://127.0.0.1:port`.
    pub fn endpoint(&self) -> &str {
        &self.endpoint
    }
}
