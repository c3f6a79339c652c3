//! `outport config check`.

use outport_core::Fault;
use serde::Serialize;

use crate::config::{self, Setting};
use crate::output::{self, Format};

#[derive(Serialize)]
struct Row {
    key: String,
    value: String,
    origin: String,
}

pub fn run(settings: &[Setting], format: Format) -> Result<(), Fault> {
    warn_of_misspelt(settings);
    let rows: Vec<Row> = settings
        .iter()
        .map(|setting| Row {
            key: setting.key.clone(),
            value: redacted(&setting.key, &setting.value.to_string()),
            origin: setting.origin.to_string(),
        })
        .collect();
    match format {
        Format::Json => output::json(&rows),
        Format::Table => output::table(
            &["key", "value", "from"],
            rows.into_iter().map(|row| vec![row.key, row.value, row.origin]).collect(),
        ),
    }
}

/// Not a fault: other programs, and secrets of endpoints, may have such variables, too.
pub fn warn_of_misspelt(settings: &[Setting]) {
    for (name, near) in config::misspelt(settings) {
        output::note(&format!("warning: the variable {name} is no setting; did you mean {near}?"));
    }
}

/// A database URL may carry a password, between the user's name and the host or among the options: neither is shown,
/// also not of a URL with mistakes in it. A file has no password.
fn redacted(key: &str, value: &str) -> String {
    if key == "notify.webhook" {
        // Many receivers know their senders by a token in the path.
        let mut parts = value.splitn(4, '/');
        let start: Vec<&str> = parts.by_ref().take(3).collect();
        return if parts.next().is_some() { format!("{}/***\"", start.join("/")) } else { value.to_owned() };
    }
    if key != "database" || value.trim_start_matches('"').starts_with("sqlite:") {
        return value.to_owned();
    }
    let (address, options) = value.split_once('?').unwrap_or((value, ""));
    let address = match address.rsplit_once('@') {
        None => address.to_owned(),
        Some((login, host)) => {
            let (scheme, login) = login.split_once("://").unwrap_or(("", login));
            let slashes = if scheme.is_empty() { "" } else { "://" };
            match login.split_once(':') {
                Some((user, _)) => format!("{scheme}{slashes}{user}:***@{host}"),
                None => format!("{scheme}{slashes}{login}@{host}"),
            }
        }
    };
    if options.is_empty() { address } else { format!("{address}?***\"") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_are_not_shown() {
        for (url, shown) in [
            ("postgres://app:p@ss:w@db/x", "postgres://app:***@db/x"),
            ("postgres://app@db/x", "postgres://app@db/x"),
            ("postgres://db/x?user=app&password=geheim", "postgres://db/x?***"),
            ("postgres://app:a@db/x?password=geheim", "postgres://app:***@db/x?***"),
            ("app:geheim@db/x", "app:***@db/x"),
            ("sqlite:/a?b@c:d", "sqlite:/a?b@c:d"),
            ("", ""),
        ] {
            assert_eq!(redacted("database", &format!("\"{url}\"")), format!("\"{shown}\""));
        }
        assert_eq!(redacted("intake.quiet", "\"2s\""), "\"2s\"");
    }
}
