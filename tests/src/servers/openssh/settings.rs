//! The server's sshd_config(5).

use std::fmt::Write;
use std::path::Path;
use std::process::Command;
use std::sync::OnceLock;

use anyhow::Context;

use super::{OpenSsh, SSHD};

/// Writes the configuration of `server`, and the list of keys that it lets in beside it.
pub(super) fn write(file: &Path, server: &OpenSsh) -> anyhow::Result<()> {
    let keys = file.with_file_name("authorized_keys");
    let listed: String = server.client_keys.iter().map(|key| format!("{}\n", key.public)).collect();
    std::fs::write(&keys, listed).with_context(|| format!("could not write {}", keys.display()))?;
    std::fs::write(file, text(server, &keys)?).with_context(|| format!("could not write {}", file.display()))
}

fn text(server: &OpenSsh, keys: &Path) -> anyhow::Result<String> {
    let mut text = format!("Port {}\nListenAddress 127.0.0.1\n", server.port);
    for key in &server.host_keys {
        writeln!(text, "HostKey \"{}\"", key.file.display())?;
    }
    // sshd takes the first value of a keyword: what the test wants comes before what is usual.
    for line in &server.config.lines {
        writeln!(text, "{line}")?;
    }
    let password = if server.config.password { "yes" } else { "no" };
    write!(
        text,
        "PidFile none\n\
         LogLevel VERBOSE\n\
         UsePAM no\n\
         UseDNS no\n\
         StrictModes no\n\
         PubkeyAuthentication yes\n\
         AuthorizedKeysFile \"{}\"\n\
         PasswordAuthentication {password}\n\
         KbdInteractiveAuthentication no\n\
         AllowUsers {}\n\
         DisableForwarding yes\n\
         MaxStartups 200:30:400\n\
         MaxSessions 100\n",
        keys.display(),
        server.login.user,
    )?;
    if has_penalties() {
        // Since 9.8 sshd refuses an address for a while after wrong logins; here every client has the same one.
        text += "PerSourcePenalties no\n";
    }
    // In-process: nothing to look up in the jail, and no shell for anyone.
    if let Some(jail) = &server.jail {
        writeln!(text, "ChrootDirectory \"{}\"", jail.path().display())?;
    }
    // Not in quotes: internal-sftp splits its arguments at blanks and keeps the quotes.
    anyhow::ensure!(
        !server.remote_folder.contains(char::is_whitespace),
        "sshd cannot start in a folder with blanks"
    );
    let sftp = format!("internal-sftp {} -d {}", server.config.sftp_options, server.remote_folder);
    writeln!(text, "Subsystem sftp {sftp}")?;
    if !server.config.shell {
        writeln!(text, "ForceCommand {sftp}")?;
    }
    Ok(text)
}

/// Whether this sshd knows `PerSourcePenalties`; one that does not refuses to start with it.
fn has_penalties() -> bool {
    static KNOWN: OnceLock<bool> = OnceLock::new();
    *KNOWN.get_or_init(|| {
        let check =
            Command::new(SSHD).args(["-t", "-f", "/dev/null", "-o", "PerSourcePenalties=no"]).output();
        // It may complain of missing host keys; what counts is whether it knows the word.
        check.is_ok_and(|check| !String::from_utf8_lossy(&check.stderr).contains("Bad configuration option"))
    })
}
