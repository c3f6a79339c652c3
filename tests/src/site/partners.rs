//! Definitions for partners that are real servers.

use std::net::SocketAddr;
use std::path::Path;

use crate::servers::openssh::OpenSsh;

/// The bucket that every definition watches.
pub const BUCKET: &str = "inbound";

/// How a partner wants us to log in.
#[derive(Debug, Clone)]
pub enum Login {
    /// With the password in this file.
    Password(String),
    /// With the private key in this file.
    Key(String),
    /// With the password that this reference names.
    PasswordAt(String),
    /// With the private key that this reference names.
    KeyAt(String),
}

/// A subscriber of every file, with one endpoint `CODE/sftp`: JSON goes there as CSV, everything else as it is.
#[derive(Debug, Clone)]
pub struct Partner {
    /// Unique.
    pub code: String,
    /// Where its server listens.
    pub address: SocketAddr,
    /// Whom we log in as.
    pub username: String,
    /// How.
    pub login: Login,
    /// The host keys that we believe.
    pub host_keys: Vec<String>,
    /// What remote names begin with: `ed_`, `in/`.
    pub prefix: String,
    /// Further lines of the endpoint's definition, its settings for example.
    pub more: String,
}

impl Partner {
    /// A partner at `server`: login by its ed25519 key, its host keys pinned, names as they are.
    pub fn at(code: &str, server: &OpenSsh) -> Self {
        Self {
            code: code.to_owned(),
            address: server.address(),
            username: server.login().user.clone(),
            login: Login::key(server.key_file()),
            host_keys: server.fingerprints().into_iter().map(str::to_owned).collect(),
            prefix: String::new(),
            more: String::new(),
        }
    }

    /// The same with another login.
    #[must_use]
    pub fn login(self, login: Login) -> Self {
        Self { login, ..self }
    }

    /// The same with this one host key pinned.
    #[must_use]
    pub fn host_key(self, fingerprint: &str) -> Self {
        Self { host_keys: vec![fingerprint.to_owned()], ..self }
    }

    /// The same with remote names that begin with `prefix`.
    #[must_use]
    pub fn prefix(self, prefix: &str) -> Self {
        Self { prefix: prefix.to_owned(), ..self }
    }

    /// The same with further lines in the definition of its endpoint.
    #[must_use]
    pub fn with(self, lines: &str) -> Self {
        Self { more: lines.to_owned(), ..self }
    }

    /// Its endpoint, as the command line names it.
    pub fn endpoint(&self) -> String {
        format!("{}/sftp", self.code)
    }
}

impl Login {
    /// With the private key in `file`.
    pub fn key(file: &Path) -> Self {
        Self::Key(file.display().to_string())
    }

    /// With the password in `file`.
    pub fn password(file: &Path) -> Self {
        Self::Password(file.display().to_string())
    }
}

/// The text of a `partners.toml`.
pub fn definitions(partners: &[Partner]) -> String {
    let mut text = format!(
        r#"
[[file_group]]
name = "claims"
rule = [{{ bucket = "{BUCKET}", key = "**/*.json" }}, {{ bucket = "{BUCKET}", key = "**/*.ndjson" }}]

[[file_group]]
name = "documents"
rule = [{{ bucket = "{BUCKET}", key = "**" }}]

[[transform]]
name = "to-csv"
kind = "json-to-csv"
"#
    );
    for partner in partners {
        let Partner { code, username, prefix, host_keys, more, .. } = partner;
        let (host, port) = (partner.address.ip(), partner.address.port());
        let login = match &partner.login {
            Login::Password(file) => format!("password = \"file:{file}\""),
            Login::Key(file) => format!("key = \"file:{file}\""),
            Login::PasswordAt(reference) => format!("password = \"{reference}\""),
            Login::KeyAt(reference) => format!("key = \"{reference}\""),
        };
        text += &format!(
            r#"
[[subscriber]]
code = "{code}"
[[subscriber.endpoint]]
name = "sftp"
protocol = "sftp"
host = "{host}"
port = {port}
username = "{username}"
{login}
host_keys = {host_keys:?}
{more}

[[subscription]]
code = "{code}-claims"
subscriber = "{code}"
file_group = "claims"
endpoint = "sftp"
transform = "to-csv"
remote_name = "{prefix}{{stem}}.{{ext}}"

[[subscription]]
code = "{code}-documents"
subscriber = "{code}"
file_group = "documents"
endpoint = "sftp"
remote_name = "{prefix}{{name}}"
"#
        );
    }
    text
}
