//! `outport send FILE... URL`: the product's own sender, without a database.

mod arguments;
mod local_file;
mod plan;
mod target;

use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use indicatif::ProgressBar;
use outport_core::upload::UploadPlan;
use outport_core::{DeliveryId, Fault, RemoteName, code};
use outport_send::pool::{Pool, PoolSettings};
use outport_send::sftp::SftpConnector;
use outport_send::{NoFence, Outcome, Receipt, SftpUrl, Target, Upload, deliver};
use tokio::sync::Semaphore;
use tokio::task::{JoinError, JoinSet};
use uuid::Uuid;

pub use self::arguments::SendArgs;
use self::local_file::LocalFile;
pub use self::plan::PlanArgs;
use super::up::byte_bar;
use crate::output;

/// Sessions at a time. Partners often allow only a few.
const CONNECTIONS: usize = 2;
/// Files at a time: enough that at 20 ms to the server and back, 6 waits a file, more than 500 small ones a second go
/// out. A file counts as many as it has MiB, up to `LARGE`: four large ones fill a connection, more would only cost memory.
const IN_FLIGHT: u32 = 64;
const LARGE: u64 = 16;

pub(super) fn io_fault(doing: &str, path: &Path, error: &io::Error) -> Fault {
    Fault::new(&code::IO_FAILED, format!("could not {doing} {}: {error}", path.display()))
}

pub(super) fn usage(message: impl Into<String>) -> Fault {
    Fault::new(&code::USAGE, message)
}

pub async fn send(args: SendArgs) -> Result<ExitCode, Fault> {
    let Some((url, files)) = args.files_and_url.split_last() else {
        return Err(usage("files and a URL are needed"));
    };
    let url = SftpUrl::parse(url)?;
    let files: Vec<PathBuf> = files.iter().map(PathBuf::from).collect();
    let names = names(&url, &files)?;
    let plan = Arc::new(args.plan.plan()?);
    let target = Arc::new(target::target(&args, &url).await?);
    let sizes = files.iter().map(|file| size_of(file)).collect::<Result<Vec<u64>, Fault>>()?;
    let bar = byte_bar();
    bar.set_length(sizes.iter().sum());
    let pool = Pool::new(Arc::new(SftpConnector), PoolSettings::default());
    let room = Arc::new(Semaphore::new(IN_FLIGHT as usize));
    let mut report = Report { bar: bar.clone(), failed: 0 };
    let mut sends = JoinSet::new();
    for ((file, name), size) in files.into_iter().zip(names).zip(sizes) {
        let weight = u32::try_from((size >> 20).clamp(1, LARGE)).unwrap_or(IN_FLIGHT);
        // It is never closed.
        let place = Arc::clone(&room).acquire_many_owned(weight).await.ok();
        while let Some(ended) = sends.try_join_next() {
            report.take(ended)?;
        }
        let (pool, target, plan, bar) = (pool.clone(), Arc::clone(&target), Arc::clone(&plan), bar.clone());
        sends.spawn(async move {
            let _place = place;
            let outcome = one(&pool, &target, &file, &name, &plan, bar).await;
            (file, outcome)
        });
    }
    while let Some(ended) = sends.join_next().await {
        report.take(ended)?;
    }
    bar.finish_and_clear();
    pool.close().await;
    Ok(if report.failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn size_of(file: &Path) -> Result<u64, Fault> {
    let meta = std::fs::metadata(file).map_err(|e| io_fault("read", file, &e))?;
    if meta.is_file() {
        return Ok(meta.len());
    }
    let message = format!("could not send {}: it is not a file", file.display());
    Err(Fault::new(&code::IO_FAILED, message))
}

/// Says how each file ended, as it ends.
struct Report {
    bar: ProgressBar,
    failed: usize,
}

impl Report {
    fn take(&mut self, ended: Result<(PathBuf, Result<Receipt, Fault>), JoinError>) -> Result<(), Fault> {
        let (file, outcome) = ended
            .map_err(|panic| Fault::new(&code::ENGINE_PANIC, format!("a send ended by a bug: {panic}")))?;
        match outcome {
            Ok(receipt) => self.bar.suspend(|| {
                let name = output::safe(&receipt.remote_final);
                output::line(&format!("{} {} bytes sha256 {}", name, receipt.size_bytes, receipt.sha256))
            }),
            Err(fault) => {
                self.failed += 1;
                let file = file.display().to_string();
                let report = output::safe_report(&fault.report());
                self.bar.suspend(|| output::note(&format!("error: {}: {report}", output::safe(&file))));
                Ok(())
            }
        }
    }
}

/// The remote name of each file, checked before anything is sent.
fn names(url: &SftpUrl, files: &[PathBuf]) -> Result<Vec<RemoteName>, Fault> {
    if files.len() > 1 && !url.is_folder() {
        return Err(usage("several files need a URL that ends with a slash: a folder"));
    }
    let mut seen = BTreeSet::new();
    files
        .iter()
        .map(|file| {
            let name = file
                .file_name()
                .and_then(|name| name.to_str())
                .ok_or_else(|| usage(format!("the name of {} is not text", file.display())))?;
            let name = RemoteName::new(url.path_for(name)).map_err(|error| {
                Fault::from(error)
                    .with_hint("rename the file, or give its remote name in the URL: sftp://USER@HOST/NAME")
            })?;
            if !seen.insert(name.as_str().to_owned()) {
                return Err(usage(format!("two files would be sent as {:?}", name.as_str())));
            }
            Ok(name)
        })
        .collect()
}

async fn one(
    pool: &Pool,
    target: &Target,
    file: &Path,
    name: &RemoteName,
    plan: &UploadPlan,
    bar: ProgressBar,
) -> Result<Receipt, Fault> {
    let mut source = LocalFile::open(file, bar).await?;
    let delivery = DeliveryId::from_uuid(Uuid::now_v7());
    let mut upload = Upload::planned(plan.clone(), name, delivery, 1, &[])?;
    upload.mtime_s = source.modified_s();
    match deliver(pool, target, CONNECTIONS, &upload, &mut source, &NoFence).await {
        Outcome::Delivered(receipt) => Ok(receipt),
        Outcome::Failed { fault, .. } | Outcome::Unknown { fault, .. } | Outcome::Unconfirmed { fault } => {
            Err(fault)
        }
        _ => Err(Fault::new(&code::ENGINE_PANIC, "a send without a lease cannot lose it")),
    }
}
