//! Where `outport send` sends to, from its arguments: the same as an endpoint's definition would say.

use std::path::Path;

use outport_aws::Access;
use outport_core::credential::{CredentialRef, KeyRef, SecretRef};
use outport_core::settings::EndpointSettings;
use outport_core::ssh::{Profile, SshSettings};
use outport_core::trust::FirstUse;
use outport_core::{Fault, code};
use outport_send::{HostAuthority, HostKeyPin, SftpUrl, Target, Timeouts};

use super::{SendArgs, io_fault, usage};
use crate::connection;
use crate::secrets::Secrets;

const LABEL: &str = "the server";
/// A public key is one line.
const MAX_KEY_BYTES: u64 = 64 * 1024;

/// Everything is read and checked before anything is sent.
pub async fn target(args: &SendArgs, url: &SftpUrl) -> Result<Target, Fault> {
    let username = match &url.username {
        Some(name) => name.clone(),
        None => {
            std::env::var("USER").map_err(|_| usage("the URL has no user name: write sftp://USER@HOST/"))?
        }
    };
    let credential = credential(args)?;
    let secrets = Secrets::new(Access::default());
    let settings = settings(args)?;
    if let Some(problem) = settings.problem() {
        return Err(usage(problem));
    }
    let as_usage = |fault: Fault| {
        if fault.code == &code::CONFIG_INVALID { Fault { code: &code::USAGE, ..fault } } else { fault }
    };
    let pins = args.host_keys.iter().map(|pin| pin.parse::<HostKeyPin>().map_err(|e| usage(e.to_string())));
    Ok(Target {
        endpoint: "ad hoc".into(),
        revision: "1".into(),
        label: LABEL.into(),
        host: url.host.clone(),
        port: url.port,
        username,
        auth: secrets.login(&credential, LABEL).await?.auth,
        login_order: settings.login.clone(),
        host_key_pins: pins.collect::<Result<_, _>>()?,
        host_authorities: args.host_cas.iter().map(|file| authority(file)).collect::<Result<_, _>>()?,
        first_use: FirstUse::Refuse,
        algorithms: connection::algorithms(&settings.ssh, LABEL).map_err(as_usage)?,
        route: connection::route(&settings, LABEL, &secrets).await.map_err(as_usage)?.0,
        timeouts: Timeouts::default(),
        second_channel: args.second_channel,
    })
}

fn reference(text: &str) -> Result<SecretRef, Fault> {
    text.parse().map_err(|problem: String| usage(problem))
}

fn credential(args: &SendArgs) -> Result<CredentialRef, Fault> {
    let key = match &args.identity {
        None => None,
        Some(file) => Some(KeyRef {
            key: SecretRef::File(file.clone()),
            passphrase: args.passphrase_from.as_deref().map(reference).transpose()?,
            certificate: args.certificate.clone().map(SecretRef::File),
        }),
    };
    let password = args.password_from.as_deref().map(reference).transpose()?;
    if key.is_none() && password.is_none() {
        return Err(
            usage("no way to log in").with_hint("give --identity KEYFILE or --password-from env:NAME")
        );
    }
    Ok(CredentialRef { key, password })
}

fn settings(args: &SendArgs) -> Result<EndpointSettings, Fault> {
    let profile = match args.profile.as_str() {
        "modern" => Profile::Modern,
        "compat" => Profile::Compat,
        other => return Err(usage(format!("{other:?} is no profile")).with_hint("it is modern or compat")),
    };
    Ok(EndpointSettings {
        ssh: SshSettings { profile, ..SshSettings::default() },
        proxy: args.proxy.clone(),
        proxy_username: args.proxy_username.clone(),
        proxy_password: args.proxy_password_from.as_deref().map(reference).transpose()?,
        source_address: args.source_address,
        ..EndpointSettings::default()
    })
}

/// The authority whose public key stands in `file`.
fn authority(file: &Path) -> Result<HostAuthority, Fault> {
    let size = std::fs::metadata(file).map_err(|error| io_fault("read", file, &error))?.len();
    if size > MAX_KEY_BYTES {
        return Err(usage(format!("{} is too large for a public key", file.display())));
    }
    let text = std::fs::read_to_string(file).map_err(|error| io_fault("read", file, &error))?;
    HostAuthority::new(&text, Vec::new())
        .map_err(|error| usage(format!("could not use {} as a host authority: {error}", file.display())))
}
