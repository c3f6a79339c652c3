//! The tools, and how each is told to convert an input.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use outport_tests::comparison::Threads;
use outport_tests::json_inputs::Shape;

use crate::bed::{Bed, Input};
use crate::options::{Options, Peer};
use crate::peers;

/// Who converts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tool {
    /// The product, from file to file.
    Outport,
    /// The product, to standard output: nothing is put on the disk.
    OutportPipe,
    /// The product over the flat records that the input `late` begins with: the plain pass.
    OutportPlainPass,
    DuckDb,
    Polars,
    Flatterer,
    Pandas,
    Miller,
    Jq,
    /// Our `json-plain`, everything in memory.
    PlainMemory,
    /// Our `json-plain`, which reads the input twice.
    PlainTwoPass,
    /// Converts nothing: what moving the bytes takes.
    Cp,
}

impl Tool {
    /// In the order of tables.
    pub const ALL: [Self; 12] = [
        Self::Outport,
        Self::OutportPipe,
        Self::OutportPlainPass,
        Self::DuckDb,
        Self::Polars,
        Self::Flatterer,
        Self::Pandas,
        Self::Miller,
        Self::Jq,
        Self::PlainMemory,
        Self::PlainTwoPass,
        Self::Cp,
    ];

    /// What `--peers` calls it; `None` is the product.
    pub const fn peer(self) -> Option<Peer> {
        match self {
            Self::Outport | Self::OutportPipe | Self::OutportPlainPass => None,
            Self::DuckDb => Some(Peer::Duckdb),
            Self::Polars => Some(Peer::Polars),
            Self::Flatterer => Some(Peer::Flatterer),
            Self::Pandas => Some(Peer::Pandas),
            Self::Miller => Some(Peer::Miller),
            Self::Jq => Some(Peer::Jq),
            Self::PlainMemory | Self::PlainTwoPass => Some(Peer::Plain),
            Self::Cp => Some(Peer::Cp),
        }
    }

    /// The command that shows the version.
    fn version(self, options: &Options) -> Command {
        let package = |name: &str| {
            let mut command = Command::new(options.python());
            command.args(["-c", "import sys, importlib.metadata as m; print(m.version(sys.argv[1]))", name]);
            command
        };
        let program = |program: &Path| {
            let mut command = Command::new(program);
            command.arg("--version");
            command
        };
        match self {
            Self::Outport | Self::OutportPipe | Self::OutportPlainPass => program(&outport()),
            Self::DuckDb => package("duckdb"),
            Self::Polars => package("polars"),
            Self::Flatterer => package("flatterer"),
            Self::Pandas => package("pandas"),
            Self::Miller => program(Path::new("mlr")),
            Self::Jq => program(Path::new("jq")),
            Self::PlainMemory | Self::PlainTwoPass => program(&beside("json-plain")),
            Self::Cp => program(Path::new("cp")),
        }
    }

    /// Whether the input is one for it.
    pub const fn takes(self, shape: Shape) -> bool {
        match self {
            Self::OutportPlainPass => matches!(shape, Shape::Late),
            // Two passes over lines; over a document that is in memory anyway they would be the same program.
            Self::PlainTwoPass => shape.is_lines(),
            _ => true,
        }
    }

    /// The numbers of threads that it is run with.
    pub fn threads(self, options: &Options, installed: &Installed) -> Vec<Threads> {
        let told = || options.threads().into_iter().map(Threads::Given).collect();
        match self {
            Self::Outport | Self::OutportPipe | Self::OutportPlainPass if !installed.can_be_told_threads => {
                vec![Threads::Own]
            }
            Self::Outport | Self::OutportPipe | Self::OutportPlainPass => told(),
            Self::DuckDb | Self::Polars | Self::Flatterer => told(),
            Self::Miller => vec![Threads::Own],
            _ => vec![Threads::Given(1)],
        }
    }

    /// How it is run.
    pub fn call(self, setting: &Setting, bed: &Bed, input: &Input) -> Call {
        let output = bed.output();
        let (shape, threads) = (input.shape, setting.threads);
        let python = |script: &str| {
            let mut command = Command::new(&setting.python);
            let threads = threads.unwrap_or(1).to_string();
            command
                .arg(bed.folder().join(script))
                .arg(&input.path)
                .arg(&output)
                .args([shape.name(), &threads]);
            command
        };
        let to_file = |command| Call { command, stdout: None, csv: Some(output.clone()) };
        let to_stdout = |command| Call { command, stdout: Some(output.clone()), csv: Some(output.clone()) };
        match self {
            Self::Outport => to_file(convert(bed, input, &output, threads)),
            // What it writes is that of another input, and would only look wrong beside the others.
            Self::OutportPlainPass => Call { csv: None, ..to_file(convert(bed, input, &output, threads)) },
            Self::OutportPipe => to_stdout(convert(bed, input, Path::new("-"), threads)),
            Self::DuckDb => to_file(python(peers::DUCKDB)),
            Self::Polars => {
                let mut command = python(peers::POLARS);
                // Read once when the library is loaded; there is no other way to tell it.
                command.env("POLARS_MAX_THREADS", threads.unwrap_or(1).to_string());
                to_file(command)
            }
            Self::Flatterer => Call {
                command: peers::flatterer(&setting.python, shape, &input.path, &output, threads.unwrap_or(1)),
                stdout: None,
                csv: Some(output.join("csv/main.csv")),
            },
            Self::Pandas => to_file(python(peers::PANDAS)),
            Self::Miller => to_stdout(peers::miller(shape, &input.path)),
            Self::Jq => to_stdout(peers::jq(shape, &input.path)),
            Self::PlainMemory => to_file(plain("memory", input, &output)),
            Self::PlainTwoPass => to_file(plain("two-pass", input, &output)),
            Self::Cp => {
                let mut command = Command::new("cp");
                // On Btrfs and XFS it would copy no byte otherwise.
                command.arg("--reflink=never").arg(&input.path).arg(&output);
                Call { command, stdout: None, csv: None }
            }
        }
    }
}

/// What a call depends on beside the input.
#[derive(Debug, Clone)]
pub struct Setting {
    /// `None`: it is not told.
    pub threads: Option<usize>,
    /// Where the packages are.
    pub python: PathBuf,
}

/// A command, and where its output is found.
#[derive(Debug)]
pub struct Call {
    /// What to run.
    pub command: Command,
    /// The file that its standard output goes to.
    pub stdout: Option<PathBuf>,
    /// The CSV that it makes, wherever to.
    pub csv: Option<PathBuf>,
}

/// What stands behind `outport transform json-to-csv` for this input. The records of `wrapped` have to be named, since the default
/// takes the object around them for the record (docs of the transform: "wrapper_is_one_record").
fn convert(bed: &Bed, input: &Input, output: &Path, threads: Option<usize>) -> Command {
    let mut command = Command::new(outport());
    command.args(["transform", "json-to-csv"]).arg(&input.path).arg(output);
    if let Some(threads) = threads {
        command.arg("--threads").arg(threads.to_string());
    }
    if input.shape == Shape::Wrapped {
        command.arg("--spec").arg(bed.folder().join(peers::WRAPPED_SPEC));
    }
    command
}

fn plain(kind: &str, input: &Input, output: &Path) -> Command {
    let mut command = Command::new(beside("json-plain"));
    let form = match input.shape {
        Shape::Array => "array",
        Shape::Wrapped => "items",
        _ => "lines",
    };
    command.args([kind, form]).arg(&input.path).arg(output);
    command
}

fn outport() -> PathBuf {
    outport_tests::process::binary()
}

fn beside(program: &str) -> PathBuf {
    outport().with_file_name(program)
}

/// What is there to be measured.
pub struct Installed {
    versions: BTreeMap<String, String>,
    missing: Vec<Tool>,
    /// Whether this build of ours has `--threads`.
    pub can_be_told_threads: bool,
}

impl Installed {
    /// Asks every tool for its version.
    pub fn look(options: &Options, bed: &Bed) -> Result<Self> {
        let help =
            Command::new(outport()).args(["transform", "--help"]).output().context("running outport")?;
        ensure!(help.status.success(), "outport transform --help ended with {}", help.status);
        let can_be_told_threads = String::from_utf8_lossy(&help.stdout).contains("--threads");
        let mut installed = Self { versions: BTreeMap::new(), missing: Vec::new(), can_be_told_threads };
        for tool in Tool::ALL.into_iter().filter(|tool| tool.peer().is_none_or(|peer| options.wants(peer))) {
            match tool.version(options).current_dir(bed.folder()).output() {
                Ok(shown) if shown.status.success() => {
                    let version = String::from_utf8_lossy(&shown.stdout);
                    let version = version.lines().next().unwrap_or_default().trim().to_owned();
                    let name = tool
                        .peer()
                        .map_or_else(|| "outport".to_owned(), |peer| format!("{peer:?}").to_lowercase());
                    installed.versions.insert(name, version);
                }
                _ => installed.missing.push(tool),
            }
        }
        Ok(installed)
    }

    /// Name and version of each.
    pub const fn versions(&self) -> &BTreeMap<String, String> {
        &self.versions
    }

    /// Those that were asked for and are not there.
    pub fn missing(&self) -> &[Tool] {
        &self.missing
    }

    /// Those that can be run on `shape`.
    pub fn tools<'a>(&'a self, options: &'a Options, shape: Shape) -> impl Iterator<Item = Tool> + 'a {
        let wanted = |tool: &Tool| tool.peer().is_none_or(|peer| options.wants(peer));
        Tool::ALL
            .into_iter()
            .filter(move |tool| wanted(tool) && tool.takes(shape) && !self.missing.contains(tool))
    }
}

impl fmt::Display for Tool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Outport => "outport",
            Self::OutportPipe => "outport >",
            Self::OutportPlainPass => "outport, without the late record",
            Self::DuckDb => "duckdb",
            Self::Polars => "polars",
            Self::Flatterer => "flatterer",
            Self::Pandas => "pandas",
            Self::Miller => "miller",
            Self::Jq => "jq",
            Self::PlainMemory => "plain, in memory",
            Self::PlainTwoPass => "plain, two passes",
            Self::Cp => "cp",
        })
    }
}
