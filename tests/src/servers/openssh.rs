//! A real OpenSSH server on a loopback port.

mod login;
mod settings;

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, bail};
use rustix::process::Signal;
use tempfile::TempDir;

use super::ssh_keys::{KeyPair, Kind};
use super::{PORT_TRIES, free_port, kill_all, missing, open_folder};
use crate::child::{Child, Stream, signal_other};
use crate::process_tree::descendants;
use crate::set::{Set, Skip, set};
pub use login::Login;

/// sshd starts itself anew for each connection and therefore wants its absolute path; Debian keeps it out of PATH.
const SSHD: &str = "/usr/sbin/sshd";
/// Starting takes some 20 ms; a busy machine may take longer.
const START_LIMIT: Duration = Duration::from_secs(30);

/// How the server is to be. [`Default`]: logins by key only, no chroot, sessions start in [`OpenSsh::folder`].
#[derive(Debug, Clone, Default)]
pub struct Config {
    /// Takes the user's password too. Needs root: nobody else may check one.
    pub password: bool,
    /// Locks sessions into a folder (`ChrootDirectory`), so that they see [`OpenSsh::folder`] as `/in`. Needs root.
    pub chroot: bool,
    /// Has an RSA host key too, and lets in an RSA key. Making the two costs a second.
    pub rsa: bool,
    /// Where sessions start, instead of a new folder; no blanks in its name. The user must be able to write there. Not
    /// with `chroot`.
    pub folder: Option<PathBuf>,
    /// Options of sftp-server(8): `-R` (only reading), `-P stat,lstat` (these are refused).
    pub sftp_options: &'static str,
    /// Lets the user start programs too, as servers with a shell do. SFTP starts in the same folder, programs in the home.
    pub shell: bool,
    /// Lets users in and has no SFTP for them.
    pub without_sftp: bool,
    /// Further lines of sshd_config(5). They win over the harness's own, except `Port`, `ListenAddress`, `HostKey`.
    pub lines: Vec<String>,
}

/// A running `sshd` with a user to log in as. Dropping it ends it and its sessions.
#[derive(Debug)]
pub struct OpenSsh {
    // First, so that it is ended before its folders go.
    sshd: Option<Child>,
    config: Config,
    login: Login,
    port: u16,
    host_keys: Vec<KeyPair>,
    client_keys: Vec<KeyPair>,
    folder: PathBuf,
    remote_folder: String,
    earlier_log: String,
    home: TempDir,
    jail: Option<TempDir>,
}

impl OpenSsh {
    /// Makes keys and folders, and starts the server.
    ///
    /// # Errors
    /// [`Skip`] in the embedded set, and without root where the configuration needs it; anything else is a failure: a program that
    /// `tests/run` should have brought, or a server that does not start (with its log).
    pub fn start(config: Config) -> anyhow::Result<Self> {
        if set() == Set::Embedded {
            return Err(Skip::because("the embedded set starts no servers"));
        }
        if !Path::new(SSHD).exists() {
            return Err(missing(SSHD));
        }
        let login = Login::from_environment()?;
        if (config.password || config.chroot) && login.password.is_none() {
            return Err(Skip::because("needs root: passwords, chroot"));
        }
        let home = open_folder(&std::env::temp_dir())?;
        let (host_keys, client_keys) =
            (key_pairs(home.path(), "host", config.rsa)?, key_pairs(home.path(), "client", config.rsa)?);
        let (jail, folder, remote_folder) = Self::folders(&config, &login, home.path())?;
        let sshd = None;
        let earlier_log = String::new();
        let mut server = Self {
            sshd,
            config,
            login,
            port: 0,
            host_keys,
            client_keys,
            folder,
            remote_folder,
            earlier_log,
            home,
            jail,
        };
        server.start_somewhere()?;
        Ok(server)
    }

    /// The jail if there is one, and where files land: as we see it, and as a client does.
    fn folders(
        config: &Config,
        login: &Login,
        home: &Path,
    ) -> anyhow::Result<(Option<TempDir>, PathBuf, String)> {
        if let Some(folder) = &config.folder {
            anyhow::ensure!(!config.chroot, "a server with a chroot has a folder of its own");
            let seen = folder.to_str().context("the folder's name is no UTF-8")?.to_owned();
            return Ok((None, folder.clone(), seen));
        }
        let jail = match (&login.home, config.chroot) {
            (Some(root), true) => Some(open_folder(root)?),
            (None, true) => return Err(missing("OUTPORT_TEST_SSH_HOME")),
            (_, false) => None,
        };
        let folder = jail.as_ref().map_or(home, TempDir::path).join("in");
        std::fs::create_dir(&folder).with_context(|| format!("could not make {}", folder.display()))?;
        login.give(&folder)?;
        let seen = folder.to_str().context("the temporary folder's name is no UTF-8")?.to_owned();
        Ok(if jail.is_some() { (jail, folder, "/in".to_owned()) } else { (jail, folder, seen) })
    }

    fn start_somewhere(&mut self) -> anyhow::Result<()> {
        for _ in 0..PORT_TRIES {
            self.port = free_port()?;
            match self.start_again() {
                Err(fault) if format!("{fault:#}").contains("Cannot bind any address") => {}
                other => return other,
            }
        }
        bail!("sshd found no free port in {PORT_TRIES} tries")
    }

    /// Starts a stopped server on the port it had.
    ///
    /// # Errors
    /// If it does not start; the message holds its log.
    pub fn start_again(&mut self) -> anyhow::Result<()> {
        anyhow::ensure!(self.sshd.is_none(), "sshd is running");
        let file = self.home.path().join("sshd_config");
        settings::write(&file, self)?;
        let mut command = Command::new(SSHD);
        command.args(["-D", "-e", "-f"]).arg(&file);
        let sshd = Child::start("sshd", command)?;
        sshd.wait_for_line(Stream::Err, "Server listening on 127.0.0.1", START_LIMIT)?;
        self.sshd = Some(sshd);
        Ok(())
    }

    /// Ends the server and every session, as a crash would: connections break off, the port refuses.
    ///
    /// # Errors
    /// If a process does not end.
    pub fn stop(&mut self) -> anyhow::Result<()> {
        if let Some(mut sshd) = self.sshd.take() {
            // The listener goes last: its death would hide whose children the sessions were. It stands still
            // meanwhile, so that no new one comes.
            sshd.signal(Signal::STOP)?;
            let sessions = kill_all(&descendants(sshd.pid()));
            sshd.kill()?;
            self.earlier_log += &sshd.printed(Stream::Err);
            sessions?;
        }
        Ok(())
    }

    /// Breaks off every connection; the server takes new ones.
    ///
    /// # Errors
    /// If a session's process does not end.
    pub fn cut_connections(&self) -> anyhow::Result<()> {
        kill_all(&self.sshd.as_ref().map(|sshd| descendants(sshd.pid())).unwrap_or_default())
    }

    /// Stops the server's processes where they are: connections stay, and nothing answers. [`thaw`](Self::thaw) lets them
    /// go on.
    ///
    /// # Errors
    /// If the server is stopped, or the kernel refuses.
    pub fn freeze(&self) -> anyhow::Result<()> {
        let sshd = self.sshd.as_ref().context("sshd is stopped")?;
        // The listener first, so that no new process comes.
        sshd.signal(Signal::STOP)?;
        descendants(sshd.pid()).into_iter().try_for_each(|process| signal_other(process, Signal::STOP))
    }

    /// Lets a frozen server go on.
    ///
    /// # Errors
    /// As [`freeze`](Self::freeze).
    pub fn thaw(&self) -> anyhow::Result<()> {
        let sshd = self.sshd.as_ref().context("sshd is stopped")?;
        descendants(sshd.pid()).into_iter().try_for_each(|process| signal_other(process, Signal::CONT))?;
        sshd.signal(Signal::CONT)
    }

    /// Processes that serve sessions now: two for each, or one that has not logged in.
    pub fn sessions(&self) -> usize {
        self.session_processes().len()
    }

    /// The same by their process ids.
    pub fn session_processes(&self) -> Vec<u32> {
        self.sshd.as_ref().map_or_else(Vec::new, |sshd| descendants(sshd.pid()))
    }

    /// Makes new host keys, as after a reinstallation or an attack. The server must be stopped.
    ///
    /// # Errors
    /// If the server runs, or the keys cannot be made.
    pub fn change_host_keys(&mut self) -> anyhow::Result<()> {
        anyhow::ensure!(self.sshd.is_none(), "sshd keeps the keys it started with: stop it first");
        self.host_keys = key_pairs(self.home.path(), "host", self.config.rsa)?;
        Ok(())
    }

    /// Has these lines of sshd_config(5) from its next start on.
    pub fn set_lines(&mut self, lines: Vec<String>) {
        self.config.lines = lines;
    }

    /// The file of the ed25519 host key; the public one lies beside it with `.pub`.
    pub fn host_key_file(&self) -> &Path {
        self.host_keys.first().map_or(Path::new(""), |key| &key.file)
    }

    /// The address it listens on.
    pub fn address(&self) -> SocketAddr {
        (Ipv4Addr::LOCALHOST, self.port).into()
    }

    /// The user to log in as, and the password where there is one.
    pub fn login(&self) -> &Login {
        &self.login
    }

    /// The fingerprints of the host keys, `SHA256:...`: ed25519, then RSA if it has one.
    pub fn fingerprints(&self) -> Vec<&str> {
        self.host_keys.iter().map(|key| key.fingerprint.as_str()).collect()
    }

    /// The fingerprint of the ed25519 host key, which clients prefer: `SHA256:...`.
    pub fn fingerprint(&self) -> &str {
        self.host_keys.first().map_or("", |key| &key.fingerprint)
    }

    /// The lines of a `known_hosts` file for this server.
    pub fn known_hosts(&self) -> String {
        self.host_keys.iter().map(|key| format!("[127.0.0.1]:{} {}\n", self.port, key.public)).collect()
    }

    /// The file of the ed25519 private key that the server lets in.
    pub fn key_file(&self) -> &Path {
        self.client_keys.first().map_or(Path::new(""), |key| &key.file)
    }

    /// The file of the RSA private key (2048 bits) that the server lets in, if it was to have one.
    pub fn rsa_key_file(&self) -> Option<&Path> {
        self.client_keys.get(1).map(|key| key.file.as_path())
    }

    /// The folder of this machine where a relative remote name lands. It belongs to the user.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The same folder as a client names it, absolute.
    pub fn remote_folder(&self) -> &str {
        &self.remote_folder
    }

    /// What the server has logged, also before it was last stopped.
    pub fn log(&self) -> String {
        let now = self.sshd.as_ref().map(|sshd| sshd.printed(Stream::Err)).unwrap_or_default();
        format!("{}{now}", self.earlier_log)
    }

    /// Waits until the running server has logged a line with `part` in it, and returns the line.
    ///
    /// # Errors
    /// If it is stopped, ends, or has not within `limit`.
    pub fn wait_for_log(&self, part: &str, limit: Duration) -> anyhow::Result<String> {
        self.sshd.as_ref().context("sshd is stopped")?.wait_for_line(Stream::Err, part, limit)
    }
}

impl Drop for OpenSsh {
    fn drop(&mut self) {
        if let Err(fault) = self.stop() {
            eprintln!("sshd on port {} did not end as it should: {fault:#}", self.port);
        }
    }
}

/// One pair for each kind of key that the server is to have: `folder/name_ed25519`, `folder/name_rsa`.
fn key_pairs(folder: &Path, name: &str, rsa: bool) -> anyhow::Result<Vec<KeyPair>> {
    let mut pairs = vec![KeyPair::make(folder, &format!("{name}_ed25519"), Kind::Ed25519)?];
    if rsa {
        pairs.push(KeyPair::make(folder, &format!("{name}_rsa"), Kind::Rsa)?);
    }
    Ok(pairs)
}
