//! An SFTP server of Python's paramiko that answers what real servers do not on demand: any status, late, never, wrongly.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::Context;
use serde_json::json;
use tempfile::TempDir;

use super::ssh_keys::{KeyPair, Kind};
use super::{missing, open_folder};
use crate::child::{Child, Stream};
use crate::set::{Set, Skip, set};

/// Debian's own; another Python in PATH would not have Debian's paramiko.
const PYTHON: &str = "/usr/bin/python3";
/// What the server does, and the instructions that file names may hold.
const SERVER: &str = include_str!("paramiko/server.py");
/// Importing paramiko takes a third of a second.
const START_LIMIT: Duration = Duration::from_secs(60);

/// How clients log in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Login {
    /// With [`Paramiko::PASSWORD`], or with the key.
    #[default]
    PasswordOrKey,
    /// With [`Paramiko::PASSWORD`] in answer to a question (keyboard-interactive), and in no other way.
    Questions,
}

/// A running server. Dropping it ends it and its sessions.
#[derive(Debug)]
pub struct Paramiko {
    // First, so that it is ended before its folders go.
    child: Child,
    port: u16,
    host_key: KeyPair,
    client_key: KeyPair,
    folder: PathBuf,
    _home: TempDir,
}

impl Paramiko {
    /// The user's name.
    pub const USER: &str = "mft";
    /// The user's password.
    pub const PASSWORD: &str = "corr3ct-horse";

    /// Starts one. `window_bytes`: how much a channel takes before it has to be acknowledged, at least 32 KiB; else 2 MiB.
    ///
    /// # Errors
    /// [`Skip`] in the embedded set; anything else is a failure: what `tests/run` should have brought, or a server that
    /// does not start.
    pub fn start(login: Login, window_bytes: Option<u32>) -> anyhow::Result<Self> {
        if set() == Set::Embedded {
            return Err(Skip::because("the embedded set starts no servers"));
        }
        if !Path::new(PYTHON).exists() {
            return Err(missing("python3-paramiko"));
        }
        let home = open_folder(&std::env::temp_dir())?;
        let host_key = KeyPair::make(home.path(), "host", Kind::Ed25519)?;
        let client_key = KeyPair::make(home.path(), "client", Kind::Ed25519)?;
        let folder = home.path().join("in");
        std::fs::create_dir(&folder).with_context(|| format!("could not make {}", folder.display()))?;
        let mut options = json!({
            "folder": folder, "host_key": host_key.file, "user": Self::USER, "password": Self::PASSWORD,
        });
        match login {
            Login::PasswordOrKey => options["authorized_key"] = json!(client_key.public),
            Login::Questions => options["questions"] = json!(true),
        }
        if let Some(window) = window_bytes {
            options["window"] = json!(window);
        }
        let script = home.path().join("server.py");
        std::fs::write(&script, SERVER).with_context(|| format!("could not write {}", script.display()))?;
        let mut command = Command::new(PYTHON);
        // Isolated from whatever the surroundings set; no file of byte code beside the script.
        command.args(["-I", "-B"]).arg(&script).arg(options.to_string());
        let child = Child::start("the paramiko server", command)?;
        let line = child.wait_for_line(Stream::Out, "listening ", START_LIMIT)?;
        let port = line.rsplit(' ').next().unwrap_or_default().parse().context("it printed no port")?;
        Ok(Self { child, port, host_key, client_key, folder, _home: home })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        (Ipv4Addr::LOCALHOST, self.port).into()
    }

    /// The fingerprint of its host key: `SHA256:...`.
    pub fn fingerprint(&self) -> &str {
        &self.host_key.fingerprint
    }

    /// The file of the private key (ed25519) that it lets in.
    pub fn key_file(&self) -> &Path {
        &self.client_key.file
    }

    /// The folder of this machine that it serves as `/`.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Requests to log in so far: `login METHOD taken`, `login METHOD refused`.
    pub fn logins(&self) -> Vec<String> {
        let printed = self.child.printed(Stream::Out);
        printed.lines().filter(|line| line.starts_with("login ")).map(str::to_owned).collect()
    }
}
