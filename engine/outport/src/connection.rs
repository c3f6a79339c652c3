//! How an endpoint is reached and believed: from definitions and settings to what the sender takes. Checked when definitions
//! are read, made again for each attempt.

use outport_core::settings::EndpointSettings;
use outport_core::ssh::SshSettings;
use outport_core::trust::{HostCa, HostKey};
use outport_core::{Fault, code};
use outport_send::sftp::Algorithms;
use outport_send::{HostAuthority, HostKeyPin, Proxy, ProxyLogin, Route};

use crate::nearest::nearest;
use crate::secrets::Secrets;

fn invalid(message: String) -> Fault {
    Fault::new(&code::CONFIG_INVALID, message)
}

/// The host keys of an endpoint. `label` names it in messages, here and below.
pub fn pins(keys: &[HostKey], label: &str) -> Result<Vec<HostKeyPin>, Fault> {
    let one = |key: &HostKey| {
        if let Some(problem) = key.problem() {
            return Err(invalid(format!("a host key of endpoint {label}: {problem}")));
        }
        let pin = key.fingerprint.parse::<HostKeyPin>();
        pin.map(|pin| pin.during(key.validity()))
            .map_err(|error| invalid(format!("a host key of endpoint {label}: {error}")))
    };
    keys.iter().map(one).collect()
}

/// The authorities of an endpoint.
pub fn authorities(cas: &[HostCa], label: &str) -> Result<Vec<HostAuthority>, Fault> {
    let one = |ca: &HostCa| {
        HostAuthority::new(&ca.key, ca.principals.clone())
            .map_err(|error| invalid(format!("host_cas of endpoint {label}: {error}")))
    };
    cas.iter().map(one).collect()
}

/// The algorithms of an endpoint.
pub fn algorithms(settings: &SshSettings, label: &str) -> Result<Algorithms, Fault> {
    Algorithms::new(settings).map_err(|unknown| {
        let fault = invalid(format!("the settings of endpoint {label}: {unknown}"));
        match nearest(&unknown.name, unknown.known.iter().map(String::as_str)) {
            Some(near) => {
                fault.with_hint(format!("did you mean {near:?}? there are: {}", unknown.known.join(", ")))
            }
            None => fault.with_hint(format!("there are: {}", unknown.known.join(", "))),
        }
    })
}

/// The proxy of an endpoint, without its login.
pub fn proxy(settings: &EndpointSettings, label: &str) -> Result<Option<Proxy>, Fault> {
    let parse = |text: &String| {
        text.parse::<Proxy>().map_err(|error| invalid(format!("the proxy of endpoint {label}: {error}")))
    };
    settings.proxy.as_ref().map(parse).transpose()
}

/// The way to an endpoint, and the version of the proxy's password.
pub async fn route(
    settings: &EndpointSettings,
    label: &str,
    secrets: &Secrets,
) -> Result<(Route, Option<String>), Fault> {
    let mut proxy = proxy(settings, label)?;
    let mut version = None;
    if let (Some(proxy), Some(username), Some(password)) =
        (&mut proxy, &settings.proxy_username, &settings.proxy_password)
    {
        let (password, of) = secrets.read(password, label).await?;
        version = Some(of);
        proxy.login = Some(ProxyLogin { username: username.clone(), password });
    }
    Ok((Route { proxy, source_address: settings.source_address }, version))
}
