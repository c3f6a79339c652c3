//! `outport transform KIND IN OUT`: the product's own code, without a database.

mod draft;
mod files;

use std::cell::Cell;
use std::fs::File;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use outport_core::{Fault, code};
use outport_transform::{About, Once, Output, Spec, Transform};

use self::files::{Place, Rejects, Whole, is_same};
use super::TransformArgs;
use super::send::{io_fault, usage};
use super::signals::Signals;
use crate::output;
use crate::spec_file;

pub fn transform(args: TransformArgs) -> Result<(), Fault> {
    let Some(kind) = args.kind else { return Err(usage("a kind of transform is needed")) };
    let params = args.spec.as_deref().map_or_else(|| Ok(serde_json::json!({})), spec_file::read)?;
    let transform = match args.infer {
        false => outport_transform::build(&kind, &params),
        true if kind == "json-to-csv" => outport_transform::infer(&params),
        true => return Err(usage("--infer writes a spec for json-to-csv and for no other kind")),
    };
    let mut transform = transform.map_err(|fault| match &args.spec {
        Some(spec) if fault.code != &code::TRANSFORM_KIND_UNKNOWN => named(spec, fault),
        _ => fault,
    })?;
    if args.explain && kind == "pass-through" {
        return Err(usage("pass-through has no spec, so there is nothing to explain"));
    }
    if args.explain {
        return explain(&kind, &params, transform, args.input.as_deref());
    }
    let target = args.output.or_else(|| args.infer.then(|| PathBuf::from("-")));
    let (Some(input), Some(target)) = (args.input, target) else {
        return Err(usage("an input and an output are needed"));
    };
    let cores = || std::thread::available_parallelism().map_or(1, usize::from);
    transform.use_threads(args.threads.map_or_else(cores, usize::from));
    transform.about(&about(&input));
    let is_file = std::fs::metadata(&input).map_err(|e| io_fault("open", &input, &e))?.is_file();
    if is_file {
        // By its name; later only the transform knows that it failed.
        File::open(&input).map_err(|e| io_fault("open", &input, &e))?;
    }
    let (was_opened, is_gone) = (Cell::new(false), Cell::new(false));
    let open = || {
        if was_opened.replace(true) && !is_file {
            is_gone.set(true);
            return Err(io::Error::other("it has to be read twice, and a pipe cannot"));
        }
        File::open(&input)
    };
    let to_pipe = target == Path::new("-");
    let rejects = match args.rejects {
        Some(_) if !keeps_bad(&params) => {
            return Err(usage("--rejects needs a spec that sets bad records apart")
                .with_hint("[errors] policy = \"quarantine\" and max_bad, as docs/MAPPING.md says"));
        }
        None if !keeps_bad(&params) => None,
        Some(path) => Some(path),
        None if !to_pipe => Some(beside(&target)),
        None => return Err(usage("say with --rejects where bad records go when the output goes to a pipe")),
    };
    let output = (!to_pipe).then_some(&target);
    let named_files = [
        ("input", Some(&input)),
        ("spec", args.spec.as_ref()),
        ("output", output),
        ("file of rejects", rejects.as_ref()),
    ];
    each_its_own(&named_files)?;
    let mut kept = Rejects::new(rejects.as_deref().map(Place::of).transpose()?);
    let run = |transform: &mut dyn Transform, out: &mut dyn Output, rejects: &mut Rejects| {
        outport_transform::run_with_rejects(transform, open, out, rejects).map_err(|fault| {
            let fault = named(&input, fault);
            match is_gone.get() {
                true => fault.with_hint("save it as a file; with the columns named in a spec once is enough"),
                false => fault,
            }
        })
    };
    tokio::spawn(end_by_signal(Signals::listen_in_terminal()?));
    let (summary, rejects) = if to_pipe {
        // A pipe takes nothing back: the whole input is looked at before the first row.
        let mut out = Once(Pipe { out: io::stdout().lock(), reader_is_gone: false });
        match run(&mut *transform, &mut out, &mut kept) {
            // `| head` has seen enough.
            Err(_) if out.0.reader_is_gone => return Ok(()),
            other => (other?, kept.finish()?),
        }
    } else {
        let (whole, summary) = Whole::write(Place::of(&target)?, |out| run(&mut *transform, out, &mut kept))?;
        // A signal comes before both have their names, or not at all.
        let _unfinished = files::unfinished();
        // First, so that there is no output of which the rejects are missing.
        let rejects = kept.finish()?;
        whole.put_in_place()?;
        (summary, rejects)
    };
    let rejected = rejects.map_or_else(String::new, |path| {
        format!("{} of them rejected to {}, ", summary.rejected, path.display())
    });
    let records = summary.records.map_or_else(String::new, |n| format!("{n} records, "));
    output::note(&format!(
        "{records}{rejected}{} bytes in, {} bytes out",
        summary.bytes_in, summary.bytes_out
    ));
    Ok(())
}

/// What was written under other names so far goes with the process.
async fn end_by_signal(signals: Signals) {
    let number = signals.first().await;
    let unfinished = files::unfinished();
    files::remove(&unfinished);
    output::note("ended by a signal; no file was written or replaced");
    // As a shell counts it.
    std::process::exit(128 + number);
}

/// A fault that says which file it is about.
fn named(file: &Path, fault: Fault) -> Fault {
    Fault { message: format!("{}: {}", file.display(), fault.message), ..fault }
}

/// What is read is not written over, and no file is written twice.
fn each_its_own(files: &[(&str, Option<&PathBuf>)]) -> Result<(), Fault> {
    for (index, (what, file)) in files.iter().enumerate() {
        for (other, another) in &files[..index] {
            if let (Some(file), Some(another)) = (file, another)
                && (*what, *other) != ("spec", "input")
                && is_same(file, another)
            {
                return Err(usage(format!("{} would be the {other} and the {what}", file.display()))
                    .with_hint(format!("name another file for the {what}")));
            }
        }
    }
    Ok(())
}

fn keeps_bad(params: &serde_json::Value) -> bool {
    params.pointer("/errors/policy").and_then(|policy| policy.as_str()) == Some("quarantine")
}

fn about(input: &Path) -> About {
    let run_time = jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
    About { source_key: input.display().to_string(), run_time }
}

fn beside(target: &Path) -> PathBuf {
    let mut name = target.as_os_str().to_owned();
    name.push(".rejects.ndjson");
    PathBuf::from(name)
}

/// Rows shown by `--explain`, the header not counted.
const FIRST_ROWS: usize = 5;

/// Prints the spec as understood, and the first rows that it gives.
fn explain(
    kind: &str,
    params: &serde_json::Value,
    mut transform: Box<dyn Transform>,
    input: Option<&Path>,
) -> Result<(), Fault> {
    output::text(&Spec::read(kind, params)?.explain())?;
    let Some(input) = input else { return Ok(()) };
    transform.about(&about(input));
    let mut file = File::open(input).map_err(|e| io_fault("open", input, &e))?;
    let (mut buffer, mut out) = (vec![0; 1 << 18], Vec::new());
    let has_enough = |out: &[u8]| out.iter().filter(|byte| **byte == b'\n').count() > FIRST_ROWS;
    while !has_enough(&out) {
        let read = file.read(&mut buffer).map_err(|e| io_fault("read", input, &e))?;
        if read == 0 {
            // Nothing of the output is kept, so what comes late does not matter here.
            transform.finish(&mut out).map(|_| ())?;
            break;
        }
        let mut rest = &buffer[..read];
        while !rest.is_empty() && !has_enough(&out) {
            rest = &rest[transform.push(rest, &mut out)?..];
        }
    }
    let first: Vec<&str> = std::str::from_utf8(&out)
        .unwrap_or("(the rows are not UTF-8 text)\n")
        .split_inclusive('\n')
        .take(FIRST_ROWS + 1)
        .collect();
    let mut rejects = Vec::new();
    transform.take_rejects(&mut rejects);
    let rejected = match rejects.iter().filter(|byte| **byte == b'\n').count() {
        0 => String::new(),
        bad => format!(", {bad} of its records rejected so far"),
    };
    output::text(&format!("\n# The first rows of {}{rejected}:\n{}", input.display(), first.concat()))
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
