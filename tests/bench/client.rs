//! The clients, and how each is told to send the same files.

use std::fmt;
use std::fmt::Write;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};

use crate::bed::Bed;

/// Who sends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Client {
    /// The product.
    Outport,
    /// The product with two channels for a large file.
    OutportTwo,
    /// OpenSSH's `sftp` as it comes.
    Sftp,
    /// OpenSSH's `sftp` with the options that make it fastest.
    SftpTuned,
    /// lftp.
    Lftp,
    /// rclone.
    Rclone,
    /// curl.
    Curl,
}

impl Client {
    /// All, ours first.
    pub const ALL: [Self; 7] =
        [Self::Outport, Self::OutportTwo, Self::Sftp, Self::SftpTuned, Self::Lftp, Self::Rclone, Self::Curl];

    const fn program(self) -> &'static str {
        match self {
            Self::Outport | Self::OutportTwo => "outport",
            Self::Sftp | Self::SftpTuned => "sftp",
            Self::Lftp => "lftp",
            Self::Rclone => "rclone",
            Self::Curl => "curl",
        }
    }

    /// Whether it is the product.
    pub const fn is_ours(self) -> bool {
        matches!(self, Self::Outport | Self::OutportTwo)
    }

    /// The call that sends every file of the bed into the folder where one logs in. `rename`: `sftp` is to do as we do and
    /// write under a temporary name first.
    pub fn command(self, bed: &Bed, rename: bool) -> Result<Command> {
        match self {
            Self::Outport => Ok(outport(bed, &[])),
            Self::OutportTwo => Ok(outport(bed, &["--second-channel"])),
            Self::Sftp => sftp(bed, rename, &[]),
            Self::SftpTuned => {
                sftp(bed, rename, &["-c", "aes128-gcm@openssh.com", "-B", "261120", "-R", "64"])
            }
            Self::Lftp => Ok(lftp(bed)),
            Self::Rclone => Ok(rclone(bed)),
            Self::Curl => Ok(curl(bed)),
        }
    }
}

impl fmt::Display for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Outport => "outport send",
            Self::OutportTwo => "outport send --second-channel",
            Self::Sftp => "sftp",
            Self::SftpTuned => "sftp -c aes128-gcm -B 261120 -R 64",
            Self::Lftp => "lftp mirror -P 4",
            Self::Rclone => "rclone copy",
            Self::Curl => "curl -T",
        })
    }
}

/// Those that are on this machine.
pub fn installed() -> Vec<Client> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let is_there = |program: &str| std::env::split_paths(&path).any(|folder| folder.join(program).is_file());
    Client::ALL.into_iter().filter(|client| client.is_ours() || is_there(client.program())).collect()
}

fn outport(bed: &Bed, more: &[&str]) -> Command {
    let mut command = Command::new(outport_tests::process::binary());
    command
        .arg("send")
        .args(&bed.files)
        .arg(format!("sftp://{}@{}/", bed.server.login().user, bed.address()))
        .arg("--identity")
        .arg(bed.server.key_file())
        .args(["--host-key", bed.server.fingerprint()])
        .args(more);
    command
}

/// Options of every OpenSSH program: this key, this server, nothing of the user's own configuration.
fn openssh_options(bed: &Bed) -> Vec<String> {
    vec![
        "-F".into(),
        "none".into(),
        "-i".into(),
        bed.server.key_file().display().to_string(),
        "-o".into(),
        format!("UserKnownHostsFile={}", bed.known_hosts().display()),
        "-o".into(),
        "StrictHostKeyChecking=yes".into(),
        "-o".into(),
        "IdentitiesOnly=yes".into(),
    ]
}

fn sftp(bed: &Bed, rename: bool, more: &[&str]) -> Result<Command> {
    let mut script = String::new();
    for file in &bed.files {
        let name = name(file)?;
        if rename {
            writeln!(script, "put {} {name}.part\nrename {name}.part {name}", file.display())?;
        } else {
            writeln!(script, "put {} {name}", file.display())?;
        }
    }
    std::fs::write(bed.script(), script)?;
    let mut command = Command::new("sftp");
    command
        .args(more)
        .args(openssh_options(bed))
        .arg("-b")
        .arg(bed.script())
        .args(["-P", &bed.address().port().to_string()])
        .arg(format!("{}@{}", bed.server.login().user, bed.address().ip()));
    Ok(command)
}

fn lftp(bed: &Bed) -> Command {
    let user = &bed.server.login().user;
    let script = format!(
        "set cmd:fail-exit yes; set net:max-retries 1; set sftp:auto-confirm no; \
         set sftp:connect-program \"ssh -a -x {}\"; open -u {user},x sftp://{}; mirror -R -P 4 {} .",
        openssh_options(bed).join(" "),
        bed.address(),
        bed.source().display(),
    );
    let mut command = Command::new("lftp");
    command.args(["--norc", "-c", &script]);
    command
}

fn rclone(bed: &Bed) -> Command {
    let mut command = Command::new("rclone");
    command
        .args(["--config", "/dev/null", "copy"])
        .arg(bed.source())
        // In full: its programs on the server start in another folder than SFTP.
        .arg(format!(":sftp:{}", bed.server.folder().display()))
        .args(["--sftp-host", &bed.address().ip().to_string()])
        .args(["--sftp-port", &bed.address().port().to_string()])
        .args(["--sftp-user", &bed.server.login().user])
        .arg("--sftp-key-file")
        .arg(bed.server.key_file())
        .arg("--sftp-known-hosts-file")
        .arg(bed.known_hosts());
    command
}

fn curl(bed: &Bed) -> Command {
    let names: Vec<String> = bed.files.iter().map(|file| file.display().to_string()).collect();
    let mut command = Command::new("curl");
    // It knows the server only by known_hosts in the user's home; a pin of the SHA-256 does as well.
    let pin = bed.server.fingerprint().trim_start_matches("SHA256:");
    command
        .args(["--disable", "--silent", "--show-error", "--fail"])
        .args(["--hostpubsha256", pin])
        .arg("--key")
        .arg(bed.server.key_file())
        .arg("--pubkey")
        .arg(bed.server.key_file().with_extension("pub"))
        .args(["--user", &format!("{}:", bed.server.login().user)])
        .args(["--upload-file", &format!("{{{}}}", names.join(","))])
        .arg(format!("sftp://{}/~/", bed.address()));
    command
}

fn name(file: &Path) -> Result<&str> {
    file.file_name().and_then(|name| name.to_str()).context("a file without a name")
}
