//! moto: a stand-in for S3 that somebody else wrote.

use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use anyhow::Context;

use super::missing;
use super::podman::Podman;
use crate::child::{Child, Stream};
use crate::set::{Set, Skip, set};

/// Importing it takes two seconds, on a busy machine many.
const START_LIMIT: Duration = Duration::from_secs(120);

/// A running moto, empty. Dropping it ends it.
#[derive(Debug)]
pub struct Moto {
    child: Child,
    endpoint: String,
}

impl Moto {
    /// Starts one.
    ///
    /// # Errors
    /// [`Skip`] in the embedded set; anything else is a failure: no moto (`OUTPORT_TEST_MOTO` is not set), or one that does
    /// not start.
    pub fn start() -> anyhow::Result<Self> {
        Self::start_with(&[])
    }

    /// One whose Batch starts containers: of images that the engine has, on the host's network.
    ///
    /// # Errors
    /// As [`start`](Self::start).
    pub fn with_containers(podman: &Podman) -> anyhow::Result<Self> {
        Self::start_with(&[("DOCKER_HOST", &podman.socket()), ("MOTO_DOCKER_NETWORK_MODE", "host")])
    }

    fn start_with(environment: &[(&str, &str)]) -> anyhow::Result<Self> {
        if set() == Set::Embedded {
            return Err(Skip::because("the embedded set starts no servers"));
        }
        let program = std::env::var_os("OUTPORT_TEST_MOTO").map(PathBuf::from);
        let program = program.ok_or_else(|| missing("moto (OUTPORT_TEST_MOTO)"))?;
        let mut command = Command::new(program);
        // Port 0: the kernel chooses one, and the server says which.
        command.args(["-H", "127.0.0.1", "-p", "0"]).env("PYTHONUNBUFFERED", "1");
        command.envs(environment.iter().copied());
        let child = Child::start("moto", command)?;
        let line = child.wait_for_line(Stream::Err, "Running on http://", START_LIMIT)?;
        let endpoint = line.split_whitespace().find(|word| word.starts_with("http://"));
        let endpoint = endpoint.with_context(|| format!("no address in {line:?}"))?.to_owned();
        Ok(Self { child, endpoint })
    }

    /// `http://127.0.0.1:port`.
    pub fn endpoint(&self) -> &str {
        &self.endpoint
    }

    /// The requests so far: `GET /bucket/key?versionId=... 206`. moto notes a request when it begins to answer it.
    pub fn requests(&self) -> Vec<String> {
        // 127.0.0.1 - - [22/Nov/2026 03:00:00] "GET /bucket/key HTTP/1.1" 206 -
        let line = |line: &str| {
            let (_, rest) = line.split_once('"')?;
            let (request, status) = rest.split_once('"')?;
            let request = request.rsplit_once(" HTTP/")?.0;
            // Before all but the plainest ones there are colours: ESC [ 1 m.
            let request = request
                .rsplit_once('\u{1b}')
                .map_or(Some(request), |(_, rest)| Some(rest.split_once('m')?.1))?;
            let status = status.split_whitespace().next()?;
            Some(format!("{request} {status}"))
        };
        self.child.printed(Stream::Err).lines().filter_map(line).collect()
    }
}
