//! A real ProFTPD with mod_sftp on a loopback port: the other server that partners have.

use std::fmt::Write;
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use tempfile::TempDir;

use super::openssh::Login;
use super::ssh_keys::{KeyPair, Kind};
use super::{PORT_TRIES, free_port, kill_all, missing, open_folder, output_of};
use crate::child::{Child, Stream};
use crate::process_tree::descendants;
use crate::set::{Set, Skip, set};

/// Debian keeps it out of PATH; the module is in a package of its own (proftpd-mod-crypto).
const PROFTPD: &str = "/usr/sbin/proftpd";
const MODULES: &str = "/usr/lib/proftpd";
/// Makes a line of its AuthUserFile; part of the same package.
const FTPASSWD: &str = "/usr/sbin/ftpasswd";
const START_LIMIT: Duration = Duration::from_secs(30);

/// How the server is to be. [`Default`]: password or key, sessions start in [`ProFtpd::folder`].
#[derive(Debug, Clone, Default)]
pub struct Config {
    /// Asks for the password of the operating system's user in keyboard-interactive, and takes nothing else. Needs root:
    /// PAM checks it, by the rules that the package itself puts into /etc/pam.d/proftpd.
    pub questions: bool,
    /// Where sessions start, instead of a new folder. The user must be able to write there.
    pub folder: Option<PathBuf>,
    /// Further lines of its configuration.
    pub lines: Vec<String>,
}

/// A running server with a user to log in as. Dropping it ends it and its sessions.
#[derive(Debug)]
pub struct ProFtpd {
    // First, so that it is ended before its folders go.
    child: Option<Child>,
    login: Login,
    port: u16,
    host_key: KeyPair,
    client_key: KeyPair,
    folder: PathBuf,
    home: TempDir,
}

impl ProFtpd {
    /// The user's password, by [`Config::questions`] the operating system's one instead ([`Login::password`]).
    pub const PASSWORD: &str = "corr3ct-horse";

    /// Makes keys and folders, and starts the server.
    ///
    /// # Errors
    /// [`Skip`] in the embedded set, and without root where the configuration needs it; anything else is a failure: a program
    /// that `tests/run` should have brought, or a server that does not start (with its log).
    pub fn start(config: &Config) -> anyhow::Result<Self> {
        if set() == Set::Embedded {
            return Err(Skip::because("the embedded set starts no servers"));
        }
        for part in [PROFTPD, FTPASSWD, &format!("{MODULES}/mod_sftp.so")] {
            if !Path::new(part).exists() {
                return Err(missing(part));
            }
        }
        let login = Login::from_environment()?;
        if config.questions && login.password.is_none() {
            return Err(Skip::because("needs root: passwords of the operating system"));
        }
        let home = open_folder(&std::env::temp_dir())?;
        let host_key = KeyPair::make(home.path(), "host", Kind::Ed25519)?;
        let client_key = KeyPair::make(home.path(), "client", Kind::Ed25519)?;
        let folder = match &config.folder {
            Some(folder) => folder.clone(),
            None => {
                let folder = home.path().join("in");
                std::fs::create_dir(&folder)
                    .with_context(|| format!("could not make {}", folder.display()))?;
                login.give(&folder)?;
                folder
            }
        };
        let mut server = Self { child: None, login, port: 0, host_key, client_key, folder, home };
        server.write_users()?;
        server.start_somewhere(config)?;
        Ok(server)
    }

    /// Its own list of users, and the keys that it lets in.
    fn write_users(&self) -> anyhow::Result<()> {
        let id = |of: &str| -> anyhow::Result<String> {
            Ok(output_of(Command::new("id").args([of, &self.login.user]))?.trim_end().to_owned())
        };
        let mut command = Command::new(FTPASSWD);
        command
            .args(["--passwd", "--stdin", "--shell=/bin/sh"])
            .arg(format!("--file={}", self.home.path().join("passwd").display()))
            .arg(format!("--name={}", self.login.user))
            .arg(format!("--uid={}", id("-u")?))
            .arg(format!("--gid={}", id("-g")?))
            .arg(format!("--home={}", self.folder.display()))
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        let mut making = command.spawn().context("could not start ftpasswd")?;
        let mut input = making.stdin.take().context("ftpasswd takes no password")?;
        std::io::Write::write_all(&mut input, format!("{}\n", Self::PASSWORD).as_bytes())?;
        drop(input);
        anyhow::ensure!(making.wait()?.success(), "ftpasswd failed");
        // mod_sftp takes public keys in the format of RFC 4716 only.
        let keys = output_of(
            Command::new("ssh-keygen").args(["-e", "-m", "RFC4716", "-f"]).arg(&self.client_key.file),
        )?;
        std::fs::write(self.home.path().join("keys"), keys).context("could not write the list of keys")
    }

    fn start_somewhere(&mut self, config: &Config) -> anyhow::Result<()> {
        for _ in 0..PORT_TRIES {
            self.port = free_port()?;
            let file = self.home.path().join("proftpd.conf");
            std::fs::write(&file, self.settings(config)?).context("could not write its configuration")?;
            let mut command = Command::new(PROFTPD);
            command.arg("--nodaemon").arg("--config").arg(&file);
            let child = Child::start("proftpd", command)?;
            match child.wait_for_line(Stream::Err, "standalone mode STARTUP", START_LIMIT) {
                Ok(_) => {
                    self.child = Some(child);
                    return self.wait_until_it_listens();
                }
                Err(fault) if format!("{fault:#}").contains("Address already in use") => {}
                Err(fault) => return Err(fault),
            }
        }
        bail!("proftpd found no free port in {PORT_TRIES} tries")
    }

    /// It says that it has started before it listens.
    fn wait_until_it_listens(&self) -> anyhow::Result<()> {
        let deadline = Instant::now() + START_LIMIT;
        while let Err(fault) = TcpStream::connect(self.address()) {
            anyhow::ensure!(
                Instant::now() < deadline,
                "proftpd does not listen: {fault}; its log:\n{}",
                self.log()
            );
            std::thread::sleep(Duration::from_millis(5));
        }
        Ok(())
    }

    fn settings(&self, config: &Config) -> anyhow::Result<String> {
        let home = self.home.path().display();
        let (user, port) = (&self.login.user, self.port);
        let group = output_of(Command::new("id").args(["-gn", user]))?;
        let group = group.trim_end();
        let host_key = self.host_key.file.display();
        let methods = if config.questions { "keyboard-interactive" } else { "publickey password" };
        let mut text = format!(
            "ModulePath {MODULES}\n\
             LoadModule mod_sftp.c\n\
             LoadModule mod_sftp_pam.c\n\
             ServerName outport-test\n\
             ServerType standalone\n\
             DefaultAddress 127.0.0.1\n\
             SocketBindTight on\n\
             Port {port}\n\
             User {user}\n\
             Group {group}\n\
             UseIPv6 off\n\
             UseReverseDNS off\n\
             RequireValidShell off\n\
             WtmpLog off\n\
             TransferLog none\n\
             PidFile {home}/pid\n\
             ScoreboardFile none\n\
             DelayEngine off\n\
             AuthOrder mod_auth_file.c\n\
             AuthUserFile {home}/passwd\n\
             AllowOverwrite on\n\
             MaxInstances 100\n\
             SFTPEngine on\n\
             SFTPPAMEngine on\n\
             SFTPPAMServiceName proftpd\n\
             SFTPHostKey {host_key}\n\
             SFTPAuthMethods {methods}\n\
             SFTPAuthorizedUserKeys file:{home}/keys\n\
             SFTPOptions InsecureHostKeyPerms\n"
        );
        for line in &config.lines {
            writeln!(text, "{line}")?;
        }
        Ok(text)
    }

    /// Breaks off every connection; the server takes new ones.
    ///
    /// # Errors
    /// If a session's process does not end.
    pub fn cut_connections(&self) -> anyhow::Result<()> {
        kill_all(&self.child.as_ref().map(|child| descendants(child.pid())).unwrap_or_default())
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        (Ipv4Addr::LOCALHOST, self.port).into()
    }

    /// Whom to log in as.
    pub fn login(&self) -> &Login {
        &self.login
    }

    /// The fingerprint of its host key: `SHA256:...`.
    pub fn fingerprint(&self) -> &str {
        &self.host_key.fingerprint
    }

    /// The file of the private key (ed25519) that it lets in.
    pub fn key_file(&self) -> &Path {
        &self.client_key.file
    }

    /// The folder of this machine where a relative remote name lands. It belongs to the user.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// What the server has logged.
    pub fn log(&self) -> String {
        self.child.as_ref().map(|child| child.printed(Stream::Err)).unwrap_or_default()
    }
}

impl Drop for ProFtpd {
    fn drop(&mut self) {
        // Sessions are processes of their own and outlive the listener.
        if let Err(fault) = self.cut_connections() {
            eprintln!("a session of proftpd on port {} did not end as it should: {fault:#}", self.port);
        }
    }
}
