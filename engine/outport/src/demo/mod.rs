//! `outport demo`: the product's own path from a bucket to a partner's server, on this machine.

mod report;
mod samples;

use std::collections::BTreeSet;
use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use outport_core::{Fault, ObjectKey, code};
use outport_send::partner::{Partner, PartnerConfig};
use outport_store::list::deliveries::{self, DeliveryView};
use outport_store::list::{self, Page};

use crate::config::{Config, Roots};
use crate::engine::Engine;
use crate::output::note;
use crate::put::Buckets;
use crate::roles::{self, Role};
use crate::{definitions, put};

const BUCKET: &str = "inbound";
const USER: &str = "outport";

/// One file on its way, and what has to arrive.
struct Expectation {
    key: ObjectKey,
    /// The bytes on the partner's server; `None`: its delivery has to fail.
    arrives: Option<Vec<u8>>,
}

pub async fn run(files: &[PathBuf], data: Option<&Path>) -> Result<ExitCode, Fault> {
    let home = home(data)?;
    let (config, _) = Config::load(None, Some(&home))?;
    if !matches!(config.roots()?, Roots::Folders { .. }) {
        let message = "the demo works in folders of this machine, and buckets.root is s3://";
        return Err(Fault::new(&code::USAGE, message)
            .with_hint("unset OUTPORT_BUCKETS_ROOT and OUTPORT_ARTIFACTS_ROOT"));
    }
    let inputs = inputs(files, &home)?;
    let partner = partner(&home).await?;
    note(&format!("partner:  an SFTP server at {}, {}", partner.address(), partner.fingerprint()));
    let engine = Engine::open(&config, config.timing()).await?;
    apply(&engine, &home, &partner).await?;
    let buckets = Buckets::open(&config).await?;
    if let Buckets::Folders(folders) = &buckets {
        folders.make_bucket(BUCKET).await?;
    }
    let all: BTreeSet<Role> = Role::ALL.into_iter().collect();
    roles::begin(&engine, "demo").await?;
    let running = tokio::spawn(roles::run(engine.clone(), all));

    let began = Instant::now();
    let mut expected = Vec::new();
    for input in &inputs {
        expected.push(put_one(&buckets, input).await?);
    }
    let settled = wait(&engine, &expected, limit(&inputs)).await?;
    let took = began.elapsed();
    engine.stop();
    running
        .await
        .map_err(|panic| Fault::new(&code::ENGINE_PANIC, format!("the engine ended by a bug: {panic}")))??;
    partner.stop().await;

    let received = home.join("partner");
    let good = report::print(&settled, &expected, &received, took)?;
    note("");
    note(&format!("delivered files:  {}", received.join("inbox").display()));
    note(&format!("definitions:      {}", home.join("partners.toml").display()));
    note(&format!("look around:      outport --data {} delivery list", home.display()));
    note(
        "next:             write a partners.toml of your own, `outport apply partners.toml`, then `outport up`",
    );
    Ok(if good { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// A new folder under the system's temporary one, or the one given; it stays, so that one can look around.
fn home(data: Option<&Path>) -> Result<PathBuf, Fault> {
    let failed = |path: &Path, error: &std::io::Error| {
        Fault::new(&code::IO_FAILED, format!("could not make the demo's folder {}: {error}", path.display()))
    };
    match data {
        Some(path) => {
            std::fs::create_dir_all(path).map_err(|e| failed(path, &e))?;
            let empty = std::fs::read_dir(path).map_err(|e| failed(path, &e))?.next().is_none();
            if !empty {
                return Err(Fault::new(&code::USAGE, format!("the folder {} is not empty", path.display()))
                    .with_hint("the demo wants a folder of its own; leave --data out and it makes one"));
            }
            path.canonicalize().map_err(|e| failed(path, &e))
        }
        None => {
            let temp = std::env::temp_dir();
            tempfile::Builder::new()
                .prefix("outport-demo-")
                .tempdir_in(&temp)
                .map(tempfile::TempDir::keep)
                .map_err(|e| failed(&temp, &e))
        }
    }
}

/// The user's files, or the samples written into the demo's folder.
fn inputs(files: &[PathBuf], home: &Path) -> Result<Vec<PathBuf>, Fault> {
    if !files.is_empty() {
        let mut names = BTreeSet::new();
        for file in files {
            let readable = std::fs::File::open(file).and_then(|f| f.metadata());
            let meta = readable.map_err(|error| {
                Fault::new(&code::IO_FAILED, format!("could not read {}: {error}", file.display()))
            })?;
            if !meta.is_file() {
                return Err(Fault::new(&code::IO_FAILED, format!("{} is not a file", file.display())));
            }
            if !names.insert(file.file_name()) {
                return Err(Fault::new(
                    &code::USAGE,
                    format!("two files are called like {}", file.display()),
                ));
            }
        }
        return Ok(files.to_vec());
    }
    let folder = home.join("samples");
    let write = || -> std::io::Result<Vec<PathBuf>> {
        std::fs::create_dir(&folder)?;
        samples::all()
            .into_iter()
            .map(|sample| {
                let path = folder.join(sample.name);
                std::fs::write(&path, sample.content)?;
                Ok(path)
            })
            .collect()
    };
    write().map_err(|error| Fault::new(&code::IO_FAILED, format!("could not write the samples: {error}")))
}

async fn partner(home: &Path) -> Result<Partner, Fault> {
    let inbox = home.join("partner").join("inbox");
    let password = uuid::Uuid::new_v4().simple().to_string();
    let written = std::fs::create_dir_all(&inbox)
        .and_then(|()| write_private(&home.join("partner-password"), &password));
    written
        .map_err(|error| Fault::new(&code::IO_FAILED, format!("could not prepare the partner: {error}")))?;
    Partner::start(PartnerConfig::new(home.join("partner"), USER).password(password)).await
}

fn write_private(path: &Path, text: &str) -> std::io::Result<()> {
    use std::io::Write;
    use std::os::unix::fs::OpenOptionsExt;
    let mut file = std::fs::File::options().write(true).create_new(true).mode(0o600).open(path)?;
    writeln!(file, "{text}")
}

/// Writes a definitions file for the partner and applies it, as a user would.
async fn apply(engine: &Engine, home: &Path, partner: &Partner) -> Result<(), Fault> {
    let text = format!(
        r#"# Written by `outport demo`.
[[file_group]]
name = "claims"
rule = [
  {{ bucket = "{BUCKET}", key = "**/*.json" }},
  {{ bucket = "{BUCKET}", key = "**/*.ndjson" }},
]

[[file_group]]
name = "documents"
rule = [{{ bucket = "{BUCKET}", key = "**" }}]

[[transform]]
name = "to-csv"
kind = "json-to-csv"

[[subscriber]]
code = "acme"
name = "ACME Health"

[[subscriber.endpoint]]
name = "sftp"
protocol = "sftp"
host = "{host}"
port = {port}
username = "{USER}"
password = "file:{password}"
host_keys = ["{pin}"]

[[subscription]]
code = "acme-claims"
subscriber = "acme"
file_group = "claims"
endpoint = "sftp"
transform = "to-csv"
remote_name = "inbox/{{stem}}.{{ext}}"

[[subscription]]
code = "acme-documents"
subscriber = "acme"
file_group = "documents"
endpoint = "sftp"
remote_name = "inbox/{{name}}"
"#,
        host = partner.address().ip(),
        port = partner.address().port(),
        password = home.join("partner-password").display(),
        pin = partner.fingerprint(),
    );
    let path = home.join("partners.toml");
    std::fs::write(&path, text).map_err(|error| {
        Fault::new(&code::IO_FAILED, format!("could not write {}: {error}", path.display()))
    })?;
    let desired = definitions::read(&path)?;
    outport_store::definitions::apply(&engine.store, &desired, "operator:demo")
        .await
        .map_err(|e| e.fault())?;
    Ok(())
}

async fn put_one(buckets: &Buckets, file: &Path) -> Result<Expectation, Fault> {
    let name = file
        .file_name()
        .and_then(|name| name.to_str())
        .ok_or_else(|| Fault::new(&code::USAGE, format!("the name of {} is not text", file.display())))?;
    let key = ObjectKey::new(name).map_err(Fault::from)?;
    put::put(buckets, file, BUCKET, &key, &ProgressBar::hidden()).await?;
    let read = |path: &Path| {
        std::fs::read(path).map_err(|error| {
            Fault::new(&code::IO_FAILED, format!("could not read {}: {error}", path.display()))
        })
    };
    let content = read(file)?;
    let arrives = if matches!(key.ext(), "json" | "ndjson") {
        let mut transform = outport_transform::build("json-to-csv", &serde_json::json!({}))?;
        let mut csv = Vec::new();
        let run = outport_transform::run(&mut *transform, || Ok(&content[..]), &mut csv);
        // Whether the file is good is for the transform to say; the demo checks that the engine comes to the same.
        run.is_ok().then_some(csv)
    } else {
        Some(content)
    };
    Ok(Expectation { key, arrives })
}

/// A minute for small files, and time for large ones: 10 MB/s would be very slow for loopback.
fn limit(files: &[PathBuf]) -> Duration {
    let bytes: u64 =
        files.iter().filter_map(|file| std::fs::metadata(file).ok()).map(|meta| meta.len()).sum();
    Duration::from_secs(60 + bytes / 10_000_000)
}

async fn wait(
    engine: &Arc<Engine>,
    expected: &[Expectation],
    limit: Duration,
) -> Result<Vec<DeliveryView>, Fault> {
    let target = if std::io::stderr().is_terminal() {
        ProgressDrawTarget::stderr()
    } else {
        ProgressDrawTarget::hidden()
    };
    let bar = ProgressBar::with_draw_target(Some(expected.len() as u64), target);
    if let Ok(style) = ProgressStyle::with_template("{bar:30} {pos}/{len} files settled {elapsed}") {
        bar.set_style(style);
    }
    let began = Instant::now();
    loop {
        let page = Page { limit: 100_000 };
        let all = deliveries::list(&engine.store, &deliveries::Filter::default(), page)
            .await
            .map_err(|e| e.fault())?;
        let settled = all.iter().filter(|d| d.settled_at.is_some()).count();
        bar.set_position(settled as u64);
        let unrouted = list::files::list(&engine.store, &list::files::Filter::default(), page)
            .await
            .map_err(|e| e.fault())?
            .iter()
            .filter(|file| file.state != "routed")
            .count();
        if settled + unrouted >= expected.len() || began.elapsed() > limit || engine.is_stopping() {
            bar.finish_and_clear();
            return Ok(all);
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}
