//! podman: the container engine of this run, and the image of the Dockerfile in it.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};
use std::time::Duration;

use anyhow::Context;
use serde_json::Value;

use super::{missing, output_of};
use crate::child::{Child, Stream};
use crate::set::Skip;
use crate::site::health_of;

/// A container starts within a second; on a machine that copies and builds, within many.
const START_LIMIT: Duration = Duration::from_secs(120);

/// Where the image's one volume is.
pub const VOLUME: &str = "/var/lib/outport";

/// The engine that `tests/run --containers` set up, with the image that it built.
#[derive(Debug, Clone)]
pub struct Podman {
    folder: PathBuf,
    image: String,
}

impl Podman {
    /// The one of this run.
    ///
    /// # Errors
    /// [`Skip`] where there is none: it was not asked for, or containers do not start here.
    pub fn of_this_run() -> anyhow::Result<Self> {
        let Some(folder) = std::env::var_os("OUTPORT_TEST_CONTAINERS").map(PathBuf::from) else {
            return Err(match std::env::var("OUTPORT_TEST_NO_CONTAINERS") {
                Ok(problem) => Skip::because(format!("no containers here: {problem}")),
                Err(_) => Skip::because("starts containers: only in tests/run --containers"),
            });
        };
        let image =
            std::env::var("OUTPORT_TEST_IMAGE").map_err(|_| missing("the image (OUTPORT_TEST_IMAGE)"))?;
        Ok(Self { folder, image })
    }

    /// The image's name.
    pub fn image(&self) -> &str {
        &self.image
    }

    /// Where the engine listens, as Docker's clients want it in `DOCKER_HOST`.
    pub fn socket(&self) -> String {
        format!("unix://{}", self.folder.join("podman.sock").display())
    }

    /// What the engine knows about the image: `podman image inspect`.
    ///
    /// # Errors
    /// What podman says.
    pub fn facts(&self) -> anyhow::Result<Value> {
        let printed = self.told(["image", "inspect", &self.image])?;
        let facts: Value = serde_json::from_str(&printed).with_context(|| format!("no JSON: {printed}"))?;
        facts.get(0).cloned().context("podman knows nothing about the image")
    }

    /// The folders of the image's layers on this machine, the newest first.
    ///
    /// # Errors
    /// What podman says.
    pub fn layers(&self) -> anyhow::Result<Vec<PathBuf>> {
        let facts = self.facts()?;
        let folders = ["UpperDir", "LowerDir"].map(|name| facts["GraphDriver"]["Data"][name].as_str());
        let folders = folders.into_iter().flatten().flat_map(|list| list.split(':'));
        Ok(folders.map(PathBuf::from).collect())
    }

    /// What a command of podman prints.
    ///
    /// # Errors
    /// If it fails; the message holds what it said.
    pub fn told<'a>(&self, arguments: impl IntoIterator<Item = &'a str>) -> anyhow::Result<String> {
        output_of(self.command().args(arguments))
    }

    /// What a program of the image prints, run to its end in a container of its own.
    ///
    /// # Errors
    /// If it fails; the message holds what it said.
    pub fn run<'a>(
        &self,
        options: &[&str],
        program: &str,
        arguments: impl IntoIterator<Item = &'a str>,
    ) -> anyhow::Result<String> {
        let mut command = self.command();
        command.args(["run", "--rm", "--network", "host", "--entrypoint", program]);
        output_of(command.args(options).arg(&self.image).args(arguments))
    }

    /// Starts the image's own program with these options of `podman run` and these arguments.
    ///
    /// # Errors
    /// If podman cannot be started.
    pub fn start<'a>(
        &self,
        options: &[&str],
        arguments: impl IntoIterator<Item = &'a str>,
    ) -> anyhow::Result<Container> {
        let name = format!("outport-test-{}", uuid::Uuid::new_v4().simple());
        let mut command = self.command();
        command.args(["run", "--rm", "--network", "host", "--name", &name]);
        command.args(options).arg(&self.image).args(arguments);
        let child = Child::start("podman run", command)?;
        Ok(Container { podman: self.clone(), name, child })
    }

    fn command(&self) -> Command {
        let mut command = Command::new("podman");
        command
            .env("CONTAINERS_CONF", self.folder.join("containers.conf"))
            .env("CONTAINERS_STORAGE_CONF", self.folder.join("storage.conf"));
        command
    }
}

/// A running container. Dropping it ends and removes it.
#[derive(Debug)]
pub struct Container {
    podman: Podman,
    name: String,
    child: Child,
}

impl Container {
    /// Waits until `outport up` in it says that it is up; the address of its health. It must log JSON.
    ///
    /// # Errors
    /// If it does not within two minutes; the message holds what it printed.
    pub fn wait_until_up(&self) -> anyhow::Result<SocketAddr> {
        health_of(&self.child, START_LIMIT)
    }

    /// What it has logged.
    pub fn log(&self) -> String {
        self.child.printed(Stream::Err)
    }

    /// Runs a program beside it in the container, as a health check does.
    ///
    /// # Errors
    /// If the program fails; the message holds what it said.
    pub fn exec<'a>(&self, arguments: impl IntoIterator<Item = &'a str>) -> anyhow::Result<String> {
        output_of(self.podman.command().args(["exec", &self.name]).args(arguments))
    }

    /// Has the engine stop it, as a service does: the image's stop signal, and SIGKILL after `limit`.
    ///
    /// # Errors
    /// If it was killed, or podman does not end.
    pub fn stop(&mut self, limit: Duration) -> anyhow::Result<ExitStatus> {
        self.podman.told(["stop", "--time", &limit.as_secs().to_string(), &self.name])?;
        self.child.wait(START_LIMIT)
    }
}

impl Drop for Container {
    fn drop(&mut self) {
        // `podman run` is a messenger: killing it would leave the container.
        if let Err(fault) = self.podman.told(["rm", "--force", "--ignore", "--time", "0", &self.name]) {
            eprintln!("the container {} is left behind: {fault:#}", self.name);
        }
    }
}

/// Makes `path` belong to the user of the image.
///
/// # Errors
/// If that fails: only root may.
pub fn give_to_the_image(path: &Path) -> anyhow::Result<()> {
    const USER: u32 = 10001;
    std::os::unix::fs::chown(path, Some(USER), Some(USER))
        .with_context(|| format!("could not give {} to user {USER}", path.display()))
}
