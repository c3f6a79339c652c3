//! `outport up`, `put`, `migrate`: the commands that open an engine or its folders.

use std::collections::BTreeSet;
use std::io::IsTerminal;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use outport_core::{Fault, code};

use super::signals::Signals;
use crate::config::{Config, Roots};
use crate::crash_point;
use crate::engine::{Engine, open_store};
use crate::health;
use crate::logging;
use crate::put::{self as object, Buckets};
use crate::roles::{self, Role};

pub async fn run(config: &Config, roles: &[String]) -> Result<(), Fault> {
    logging::install(&config.log)?;
    crash_point::arm()?;
    let roles: BTreeSet<Role> = if roles.is_empty() {
        Role::ALL.into_iter().collect()
    } else {
        roles
            .iter()
            .map(|role| role.parse().map_err(|problem: String| Fault::new(&code::USAGE, problem)))
            .collect::<Result<_, _>>()?
    };
    let engine = Engine::open(config, config.timing()).await?;
    let listen = config.health.listen.as_str();
    let server = if listen.is_empty() { None } else { Some(health::Server::bind(listen).await?) };
    // Until here a signal ends the process by itself: nothing is claimed yet, and a database that does not answer holds
    // nobody up. From the next line on we may be asked to stop.
    let signals = Signals::listen()?;
    let address = server.as_ref().and_then(health::Server::address);
    let serving = server.map(|server| tokio::spawn(server.run(engine.clone())));
    let signals = tokio::spawn(signals.stop(engine.clone()));
    let store = engine.store.clone();
    let outcome = work(engine, roles, address).await;
    signals.abort();
    if let Some(serving) = serving {
        serving.abort();
    }
    // The last connection that closes moves everything from SQLite's log into the one file: until then a copy of it is
    // no backup.
    let closed = store.close().await.map_err(|e| e.fault());
    tracing::info!("outport is down");
    outcome.and(closed)
}

/// From the registry to the drain. "Up" is said when work can begin: not while another program holds the database.
async fn work(engine: Arc<Engine>, roles: BTreeSet<Role>, health: Option<SocketAddr>) -> Result<(), Fault> {
    let names: Vec<String> = roles.iter().map(ToString::to_string).collect();
    roles::begin(&engine, &names.join(",")).await?;
    tracing::info!(
        database = engine.store.name(),
        buckets = engine.storage.shown(),
        health = health.map(tracing::field::display),
        "outport is up"
    );
    roles::run(engine, roles).await
}

pub async fn put(config: &Config, file: &Path, url: &str) -> Result<(), Fault> {
    let (bucket, key) = object::parse_url(url)?;
    if let Roots::Folders { buckets, .. } = config.roots()? {
        let folder = buckets.join(&bucket);
        if !folder.is_dir() {
            let missing = format!("could not put {}: the bucket {bucket:?} is not there", file.display());
            return Err(Fault::new(&code::INTAKE_BUCKET_MISSING, missing).with_hint(format!(
                "make it with `mkdir -p {}`, or correct the bucket name",
                folder.display()
            )));
        }
    }
    let buckets = Buckets::open(config).await?;
    let stored = object::put(&buckets, file, &bucket, &key, &byte_bar()).await?;
    crate::output::line(&format!("s3://{bucket}/{key} {} bytes sha256 {}", stored.size_bytes, stored.sha256))
}

/// A bar on a terminal, nothing elsewhere.
pub fn byte_bar() -> ProgressBar {
    let target = if std::io::stderr().is_terminal() {
        ProgressDrawTarget::stderr()
    } else {
        ProgressDrawTarget::hidden()
    };
    let bar = ProgressBar::with_draw_target(Some(0), target);
    match ProgressStyle::with_template("{bar:30} {bytes}/{total_bytes} {bytes_per_sec}") {
        Ok(style) => bar.with_style(style),
        Err(_) => bar,
    }
}

pub async fn migrate(config: &Config) -> Result<(), Fault> {
    let store = open_store(&config.database()).await?;
    let steps = store.migrate().await.map_err(|e| e.fault())?;
    crate::output::note(&format!("{}: {steps} step(s) applied", store.name()));
    Ok(())
}
