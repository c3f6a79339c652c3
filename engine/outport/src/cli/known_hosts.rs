//! `outport endpoint import-known-hosts`: what a known_hosts file says of a host, as lines for `partners.toml`. Nothing is
//! stored by it: a person looks, and applies.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use outport_core::{Fault, code};
use outport_send::known_hosts::{KnownHost, read};
use serde::Serialize;

use super::Shape;
use crate::output::{self, Format};

/// A file of some thousand hosts has a few megabytes.
const MAX_BYTES: u64 = 64 << 20;

#[derive(Debug, Args)]
pub struct KnownHostsArgs {
    /// A known_hosts file of OpenSSH
    file: PathBuf,
    /// The host, as the endpoint names it
    #[arg(long)]
    host: String,
    /// Its port
    #[arg(long, default_value_t = 22, value_parser = clap::value_parser!(u16).range(1..))]
    port: u16,
    #[command(flatten)]
    shape: Shape,
}

#[derive(Serialize)]
struct Found {
    host_keys: Vec<Key>,
    host_cas: Vec<Authority>,
    revoked: Vec<Key>,
    unreadable: Vec<Line>,
}

#[derive(Serialize)]
struct Key {
    fingerprint: String,
    line: usize,
}

#[derive(Serialize)]
struct Authority {
    key: String,
    line: usize,
}

#[derive(Serialize)]
struct Line {
    line: usize,
    problem: String,
}

pub fn run(args: KnownHostsArgs) -> Result<ExitCode, Fault> {
    let name = args.file.display().to_string();
    let failed = |why: String| Fault::new(&code::IO_FAILED, format!("could not read {name}: {why}"));
    let size = std::fs::metadata(&args.file).map_err(|error| failed(error.to_string()))?.len();
    if size > MAX_BYTES {
        return Err(failed("it is larger than 64 MiB".into()));
    }
    let bytes = std::fs::read(&args.file).map_err(|error| failed(error.to_string()))?;
    let known = read(&String::from_utf8_lossy(&bytes), &args.host, args.port);
    let is_empty = known.keys.is_empty() && known.authorities.is_empty();
    if args.shape.format() == Format::Json {
        output::json(&found(&known))?;
    } else {
        tell(&known, &name, is_empty)?;
    }
    if is_empty {
        let place = format!("{}:{}", args.host, args.port);
        return Err(Fault::new(
            &code::NOT_FOUND,
            format!("{name} has no key of {place} that could be pinned"),
        )
        .with_hint("lines count for one port: give the port with --port if it is not 22"));
    }
    Ok(ExitCode::SUCCESS)
}

fn found(known: &KnownHost) -> Found {
    Found {
        host_keys: known
            .keys
            .iter()
            .map(|(f, _, line)| Key { fingerprint: f.to_string(), line: *line })
            .collect(),
        host_cas: known
            .authorities
            .iter()
            .map(|(key, line)| Authority { key: key.clone(), line: *line })
            .collect(),
        revoked: known
            .revoked
            .iter()
            .map(|(f, line)| Key { fingerprint: f.to_string(), line: *line })
            .collect(),
        unreadable: known
            .unreadable
            .iter()
            .map(|(line, why)| Line { line: *line, problem: why.clone() })
            .collect(),
    }
}

fn tell(known: &KnownHost, name: &str, is_empty: bool) -> Result<(), Fault> {
    for (fingerprint, line) in &known.revoked {
        output::note(&format!("warning: line {line} of {name} revokes {fingerprint}: do not pin it"));
    }
    for (line, why) in &known.unreadable {
        output::note(&output::safe(&format!("warning: line {line} of {name} was left out: {why}")));
    }
    if is_empty {
        return Ok(());
    }
    output::note(
        "put this into partners.toml, at the endpoint, after the partner has confirmed it by another channel:",
    );
    if !known.keys.is_empty() {
        output::line("host_keys = [")?;
        for (fingerprint, algorithm, line) in &known.keys {
            output::line(&output::safe(&format!("  \"{fingerprint}\", # {algorithm}, line {line}")))?;
        }
        output::line("]")?;
    }
    if !known.authorities.is_empty() {
        output::line("host_cas = [")?;
        for (key, line) in &known.authorities {
            output::line(&output::safe(&format!("  {{ key = \"{key}\" }}, # line {line}")))?;
        }
        output::line("]")?;
    }
    Ok(())
}
