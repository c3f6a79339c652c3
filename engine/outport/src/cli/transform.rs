//! `outport transform KIND IN OUT`: the product's own code, without a database.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use outport_core::{Fault, code};
use outport_transform::Once;

use super::TransformArgs;
use super::send::{io_fault, usage};
use crate::output;

pub fn transform(args: TransformArgs) -> Result<(), Fault> {
    let target = args.output.or_else(|| args.infer.then(|| PathBuf::from("-")));
    let (Some(kind), Some(input), Some(target)) = (args.kind, args.input, target) else {
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
    let mut transform = match args.infer {
        false => outport_transform::build(&kind, &params)?,
        true if kind == "json-to-csv" => outport_transform::infer(&params)?,
        true => return Err(usage("--infer writes a spec for json-to-csv and for no other kind")),
    };
    let cores = || std::thread::available_parallelism().map_or(1, usize::from);
    transform.use_threads(args.threads.map_or_else(cores, usize::from));
    let open = || File::open(&input);
    open().map_err(|e| io_fault("open", &input, &e))?;
    let summary = if target == Path::new("-") {
        // A pipe takes nothing back: the whole input is looked at before the first row.
        let mut out = Once(Pipe { out: io::stdout().lock(), reader_is_gone: false });
        match outport_transform::run(&mut *transform, open, &mut out) {
            // `| head` has seen enough.
            Err(_) if out.0.reader_is_gone => return Ok(()),
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
fn write_whole<T>(
    path: &Path,
    write: impl FnOnce(&mut dyn outport_transform::Output) -> Result<T, Fault>,
) -> Result<T, Fault> {
    let folder = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let (file, temp) = tempfile::Builder::new()
        .prefix(".outport-")
        .suffix(".part")
        .tempfile_in(folder)
        .map_err(|e| io_fault("write into", folder, &e))?
        .into_parts();
    let mut buffered = BufWriter::with_capacity(1 << 20, file);
    let result = write(&mut buffered)?;
    let file = buffered.into_inner().map_err(|e| io_fault("write", path, e.error()))?;
    file.sync_all().map_err(|e| io_fault("write", path, &e))?;
    temp.persist(path).map_err(|e| io_fault("write", path, &e.error))?;
    make_readable(&file, path)?;
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
