//! The options of `outport send`.

use std::path::PathBuf;

use clap::Args;

use super::PlanArgs;

#[derive(Debug, Args)]
pub struct SendArgs {
    /// Files, then the URL: sftp://USER@HOST[:PORT]/FOLDER/ or .../NAME for a single file
    #[arg(required = true, num_args = 2..)]
    pub(super) files_and_url: Vec<String>,
    /// Private key file
    #[arg(long, value_name = "FILE")]
    pub(super) identity: Option<PathBuf>,
    /// OpenSSH user certificate for the key
    #[arg(long, value_name = "FILE", requires = "identity")]
    pub(super) certificate: Option<PathBuf>,
    /// Where the password is: env:NAME, file:PATH or aws-sm:NAME#FIELD
    #[arg(long, value_name = "REFERENCE")]
    pub(super) password_from: Option<String>,
    /// Where the key's passphrase is: env:NAME, file:PATH or aws-sm:NAME#FIELD
    #[arg(long, value_name = "REFERENCE", requires = "identity")]
    pub(super) passphrase_from: Option<String>,
    /// SHA-256 fingerprint of the server's host key; may be given several times
    #[arg(long = "host-key", value_name = "SHA256:...")]
    pub(super) host_keys: Vec<String>,
    /// Public key of an authority for host certificates; may be given several times
    #[arg(long = "host-ca", value_name = "FILE")]
    pub(super) host_cas: Vec<PathBuf>,
    /// Algorithms to offer: modern, or compat for old servers (SHA-1, CBC, 3DES)
    #[arg(long, default_value = "modern")]
    pub(super) profile: String,
    /// Go through a proxy: socks5://HOST:PORT or http://HOST:PORT
    #[arg(long, value_name = "URL")]
    pub(super) proxy: Option<String>,
    /// User name for the proxy
    #[arg(long, value_name = "NAME", requires = "proxy")]
    pub(super) proxy_username: Option<String>,
    /// Where the proxy's password is: env:NAME, file:PATH or aws-sm:NAME#FIELD
    #[arg(long, value_name = "REFERENCE", requires = "proxy_username")]
    pub(super) proxy_password_from: Option<String>,
    /// Address of this machine to connect from
    #[arg(long, value_name = "IP")]
    pub(super) source_address: Option<std::net::IpAddr>,
    /// Use a second SFTP channel for large files: faster to a server that is far away
    #[arg(long)]
    pub(super) second_channel: bool,
    #[command(flatten)]
    pub(super) plan: PlanArgs,
}
