//! Why a lane takes nothing now, in words, each with the command that changes it.

use outport_core::ssh::Profile;
use outport_store::list::endpoints::EndpointView;

use crate::output::time;

/// `identity until an operator acts`; `-` without a block.
pub fn blocked(reason: Option<&str>, until: Option<i64>) -> String {
    match (reason, until) {
        (None, _) => "-".into(),
        (Some(reason), Some(until)) => format!("{reason} until {}", time(until)),
        (Some(reason), None) => format!("{reason} until an operator acts"),
    }
}

/// The same with a pause or suspension in front.
pub fn standstill(e: &EndpointView) -> String {
    let mut words = Vec::new();
    if !e.enabled {
        words.push("disabled".to_owned());
    }
    if let Some(by) = &e.paused_by {
        words.push(format!("paused by {by}"));
    }
    if e.suspended_at.is_some() {
        words.push("suspended".to_owned());
    }
    if e.blocked_reason.is_some() || words.is_empty() {
        words.push(blocked(e.blocked_reason.as_deref(), e.blocked_until));
    }
    words.join(", ")
}

/// Everything that keeps the lane from taking work; empty: it is open.
pub fn obstacles(e: &EndpointView) -> Vec<String> {
    let mut all = Vec::new();
    if !e.enabled {
        all.push("it is turned off by the definitions (enabled = false)".to_owned());
    }
    if let (Some(by), Some(at)) = (&e.paused_by, e.paused_at) {
        let why = e.pause_reason.as_deref().unwrap_or_default();
        all.push(format!("paused by {by} since {}: {why} (`{}`)", time(at), resume(&e.name)));
    }
    if let Some(at) = e.suspended_at {
        all.push(format!("suspended since {}, after long failure (`{}`)", time(at), resume(&e.name)));
    }
    if let Some(reason) = e.blocked_reason.as_deref() {
        let act = match (reason, &e.seen_identity) {
            ("identity", Some(seen)) => {
                format!("; the server shows {seen} (`{}`)", accept_key(&e.name, Some(seen)))
            }
            ("credential" | "settings" | "identity", _) => format!(" (`{}`)", retry(&e.name)),
            _ => String::new(),
        };
        all.push(format!("blocked: {}{act}", blocked(Some(reason), e.blocked_until)));
    }
    all
}

/// Whether the first host key that it shows waits for an operator.
pub fn asks_at_first_use(e: &EndpointView) -> bool {
    e.settings.get("first_use").is_some_and(|value| value == "ask")
}

/// What an endpoint accepts, or what becomes of it while it accepts nothing.
pub fn host_keys(e: &EndpointView) -> String {
    let keys: Vec<String> = e.host_keys.iter().map(ToString::to_string).collect();
    let asks = asks_at_first_use(e);
    match (keys.is_empty() && e.host_cas.is_empty(), asks, &e.seen_identity) {
        (false, ..) if keys.is_empty() => "-".into(),
        (false, ..) => keys.join(", "),
        (true, true, Some(seen)) => {
            format!("first use: {seen} waits to be accepted (`{}`)", accept_key(&e.name, Some(seen)))
        }
        (true, true, None) => "first use: none was seen yet; the first one waits to be accepted".into(),
        (true, false, _) => "none is pinned: nothing is sent".into(),
    }
}

/// `sftp://outport@[::1]:22`
pub fn address(e: &EndpointView) -> String {
    let host = if e.host.contains(':') { format!("[{}]", e.host) } else { e.host.clone() };
    format!("{}://{}@{host}:{}", e.protocol, e.username, e.port)
}

fn profile(e: &EndpointView) -> &str {
    e.settings.pointer("/ssh/profile").and_then(serde_json::Value::as_str).unwrap_or_default()
}

/// Whether old algorithms are offered there.
pub fn is_compat(e: &EndpointView) -> bool {
    profile(e) == Profile::Compat.as_str()
}

/// The profile, with a warning where it is an old one, and what was agreed on last.
pub fn algorithms(e: &EndpointView) -> String {
    let profile = Some(profile(e)).filter(|name| !name.is_empty()).unwrap_or(Profile::Modern.as_str());
    let warning = if is_compat(e) { OLD_ALGORITHMS } else { "" };
    match &e.agreed {
        Some(agreed) => format!("{profile}{warning}; last agreed on {agreed}"),
        None => format!("{profile}{warning}"),
    }
}

/// What stands behind the profile `compat` wherever it is shown.
pub const OLD_ALGORITHMS: &str = " (old algorithms allowed: SHA-1, CBC, 3DES)";

/// The command that ends a pause or a suspension.
pub fn resume(endpoint: &str) -> String {
    format!("outport endpoint resume {endpoint} --reason ...")
}

/// The command that lifts a block.
pub fn retry(endpoint: &str) -> String {
    format!("outport endpoint retry {endpoint}")
}

/// The command that accepts a host key: the first of those that a server with several showed.
pub fn accept_key(endpoint: &str, seen: Option<&str>) -> String {
    let seen = seen.and_then(|seen| seen.split(' ').next()).unwrap_or("SHA256:...");
    format!("outport endpoint accept-key {endpoint} --fingerprint {seen} --reason ...")
}
