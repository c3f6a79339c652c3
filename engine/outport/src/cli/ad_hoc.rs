//! `outport transform KIND IN OUT` and `outport send FILE... URL`: the product's own code, without a database.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use indicatif::ProgressBar;
use outport_core::credential::{CredentialRef, SecretRef};
use outport_core::remote_name::temp_name;
use outport_core::{DeliveryId, Fault, RemoteName, code};
use outport_objects::PIECE_BYTES;
use outport_send::pool::{Pool, PoolSettings};
use outport_send::sftp::SftpConnector;
use outport_send::{
    HostKeyPin, NoFence, Outcome, Receipt, SftpUrl, Source, Target, Timeouts, Upload, deliver,
};
use tokio::io::AsyncReadExt;
use uuid::Uuid;

use super::up::byte_bar;
use super::{SendArgs, TransformArgs};
use crate::{output, secrets};

/// Files of one ad hoc send in flight at a time, over two connections.
const IN_FLIGHT: usize = 16;

fn io_fault(doing: &str, path: &Path, error: &io::Error) -> Fault {
    Fault::new(&code::IO_FAILED, format!("could not {doing} {}: {error}", path.display()))
}

fn usage(message: impl Into<String>) -> Fault {
    Fault::new(&code::USAGE, message)
}

pub fn transform(args: TransformArgs) -> Result<(), Fault> {
    let (Some(kind), Some(input), Some(target)) = (args.kind, args.input, args.output) else {
        return Err(usage("a kind, an input and an output are needed"));
    };
    let params = match &args.spec {
        None => serde_json::json!({}),
        Some(path) => {
            let text = std::fs::read_to_string(path).map_err(|e| io_fault("read the spec", path, &e))?;
            toml::from_str(&text).map_err(|error| {
                let message = error.message().replace('\n', " ");
                Fault::new(&code::CONFIG_UNREADABLE, format!("could not read {}: {message}", path.display()))
            })?
        }
    };
    let mut transform = outport_transform::build(&kind, &params)?;
    let open = || File::open(&input);
    open().map_err(|e| io_fault("open", &input, &e))?;
    let summary = if target == Path::new("-") {
        // Two passes may be needed before the first byte; a fault after it cannot be taken back from a pipe.
        let mut out = Pipe { out: io::stdout().lock(), reader_is_gone: false };
        match outport_transform::run(&mut *transform, open, &mut out) {
            // `| head` has seen enough.
            Err(_) if out.reader_is_gone => return Ok(()),
            other => other?,
        }
    } else {
        write_whole(&target, |out| outport_transform::run(&mut *transform, open, out))?
    };
    let records = summary.records.map_or_else(String::new, |n| format!("{n} records, "));
    output::note(&format!("{records}{} bytes in, {} bytes out", summary.bytes_in, summary.bytes_out));
    Ok(())
}

/// Standard output that remembers whether its reader went away.
struct Pipe<W> {
    out: W,
    reader_is_gone: bool,
}

impl<W: Write> Pipe<W> {
    fn seen<T>(&mut self, result: io::Result<T>) -> io::Result<T> {
        self.reader_is_gone |= result.as_ref().is_err_and(|error| error.kind() == io::ErrorKind::BrokenPipe);
        result
    }
}

impl<W: Write> Write for Pipe<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.out.write(bytes);
        self.seen(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        let flushed = self.out.flush();
        self.seen(flushed)
    }
}

/// Writes a file under a temporary name beside its place; a fault leaves nothing behind.
fn write_whole<T>(path: &Path, write: impl FnOnce(&mut dyn Write) -> Result<T, Fault>) -> Result<T, Fault> {
    let folder = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let temp = tempfile::Builder::new()
        .prefix(".outport-")
        .suffix(".part")
        .tempfile_in(folder)
        .map_err(|e| io_fault("write into", folder, &e))?;
    let mut buffered = BufWriter::with_capacity(1 << 20, temp);
    let result = write(&mut buffered)?;
    let temp = buffered.into_inner().map_err(|e| io_fault("write", path, e.error()))?;
    temp.as_file().sync_all().map_err(|e| io_fault("write", path, &e))?;
    let temp = temp.persist(path).map_err(|e| io_fault("write", path, &e.error))?;
    make_readable(&temp, path)?;
    Ok(result)
}

/// A temporary file is private; the result gets what any new file would get.
fn make_readable(file: &File, path: &Path) -> Result<(), Fault> {
    use std::os::unix::fs::PermissionsExt;
    // Setting the mask is the only way to read it; nothing else makes files at this moment.
    let mask = rustix::process::umask(rustix::fs::Mode::empty());
    rustix::process::umask(mask);
    let permissions = std::fs::Permissions::from_mode(0o666 & !mask.bits());
    file.set_permissions(permissions).map_err(|e| io_fault("set the permissions of", path, &e))
}

pub async fn send(args: SendArgs) -> Result<ExitCode, Fault> {
    let Some((url, files)) = args.files_and_url.split_last() else {
        return Err(usage("files and a URL are needed"));
    };
    let url = SftpUrl::parse(url)?;
    let files: Vec<PathBuf> = files.iter().map(PathBuf::from).collect();
    let names = names(&url, &files)?;
    let target = target(&args, &url)?;
    let pool = Arc::new(Pool::new(Arc::new(SftpConnector), PoolSettings::default()));
    let bar = byte_bar();
    let mut total = 0;
    for file in &files {
        let meta = std::fs::metadata(file).map_err(|e| io_fault("read", file, &e))?;
        if !meta.is_file() {
            return Err(Fault::new(
                &code::IO_FAILED,
                format!("could not send {}: it is not a file", file.display()),
            ));
        }
        total += meta.len();
    }
    bar.set_length(total);
    let room = Arc::new(tokio::sync::Semaphore::new(IN_FLIGHT));
    let mut sends = tokio::task::JoinSet::new();
    for (file, name) in files.into_iter().zip(names) {
        let (pool, target, bar, room) = (pool.clone(), target.clone(), bar.clone(), room.clone());
        sends.spawn(async move {
            let _room = room.acquire().await;
            let outcome = one(&pool, &target, &file, &name, &bar).await;
            (file, outcome)
        });
    }
    let mut failed = 0;
    while let Some(ended) = sends.join_next().await {
        let (file, outcome) = ended
            .map_err(|panic| Fault::new(&code::ENGINE_PANIC, format!("a send ended by a bug: {panic}")))?;
        match outcome {
            Ok(receipt) => bar.suspend(|| {
                let name = output::safe(&receipt.remote_final);
                output::line(&format!("{} {} bytes sha256 {}", name, receipt.size_bytes, receipt.sha256))
            })?,
            Err(fault) => {
                failed += 1;
                let file = file.display().to_string();
                let report = output::safe_report(&fault.report());
                bar.suspend(|| output::note(&format!("error: {}: {report}", output::safe(&file))));
            }
        }
    }
    bar.finish_and_clear();
    pool.close().await;
    Ok(if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
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
            let name = RemoteName::new(url.path_for(name)).map_err(Fault::from)?;
            if !seen.insert(name.as_str().to_owned()) {
                return Err(usage(format!("two files would be sent as {:?}", name.as_str())));
            }
            Ok(name)
        })
        .collect()
}

fn target(args: &SendArgs, url: &SftpUrl) -> Result<Target, Fault> {
    let username = match &url.username {
        Some(name) => name.clone(),
        None => {
            std::env::var("USER").map_err(|_| usage("the URL has no user name: write sftp://USER@HOST/"))?
        }
    };
    let reference = |text: &str| text.parse::<SecretRef>().map_err(usage);
    let mut auth = Vec::new();
    let label = "the server";
    if let Some(key) = &args.identity {
        let passphrase = args.passphrase_from.as_deref().map(reference).transpose()?;
        let credential = CredentialRef::Key { key: SecretRef::File(key.clone()), passphrase };
        auth.push(secrets::login(&credential, label)?.auth);
    }
    if let Some(password) = &args.password_from {
        auth.push(secrets::login(&CredentialRef::Password(reference(password)?), label)?.auth);
    }
    if auth.is_empty() {
        return Err(
            usage("no way to log in").with_hint("give --identity KEYFILE or --password-from env:NAME")
        );
    }
    let pins = args.host_keys.iter().map(|pin| pin.parse::<HostKeyPin>().map_err(|e| usage(e.to_string())));
    Ok(Target {
        endpoint: "ad hoc".into(),
        revision: "1".into(),
        label: label.into(),
        host: url.host.clone(),
        port: url.port,
        username,
        auth,
        host_key_pins: pins.collect::<Result<_, _>>()?,
        timeouts: Timeouts::default(),
    })
}

async fn one(
    pool: &Pool,
    target: &Target,
    file: &Path,
    name: &RemoteName,
    bar: &ProgressBar,
) -> Result<Receipt, Fault> {
    let mut source = LocalFile::open(file, bar.clone()).await?;
    let temp = temp_name(name, DeliveryId::from_uuid(Uuid::now_v7()), 1);
    let upload = Upload::new(name.as_str(), temp.as_str());
    match deliver(pool, target, 2, &upload, &mut source, &NoFence).await {
        Outcome::Delivered(receipt) => Ok(receipt),
        Outcome::Failed { fault, .. } | Outcome::Unknown { fault, .. } | Outcome::Unconfirmed { fault } => {
            Err(fault)
        }
        _ => Err(Fault::new(&code::ENGINE_PANIC, "a send without a lease cannot lose it")),
    }
}

/// A local file as the source of a push.
struct LocalFile {
    path: PathBuf,
    file: tokio::fs::File,
    size_bytes: u64,
    bar: ProgressBar,
}

impl LocalFile {
    async fn open(path: &Path, bar: ProgressBar) -> Result<Self, Fault> {
        let file = tokio::fs::File::open(path).await.map_err(|e| io_fault("open", path, &e))?;
        let meta = file.metadata().await.map_err(|e| io_fault("read", path, &e))?;
        Ok(Self { path: path.to_owned(), file, size_bytes: meta.len(), bar })
    }
}

#[async_trait]
impl Source for LocalFile {
    async fn next(&mut self) -> Result<Option<Bytes>, Fault> {
        let mut piece = vec![0; PIECE_BYTES];
        let read = self.file.read(&mut piece).await.map_err(|e| io_fault("read", &self.path, &e))?;
        piece.truncate(read);
        self.bar.inc(read as u64);
        Ok((read > 0).then(|| Bytes::from(piece)))
    }

    fn size_bytes(&self) -> u64 {
        self.size_bytes
    }
}
