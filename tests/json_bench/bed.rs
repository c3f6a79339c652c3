//! The inputs, and the folder that they and all outputs lie in.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use outport_tests::json_inputs::{Shape, write};
use tempfile::TempDir;

use crate::options::Options;
use crate::peers;

/// A folder of its own; gone at the end.
pub struct Bed {
    folder: TempDir,
}

/// A file to convert. Dropping it removes it: six of them need not lie there at a time.
pub struct Input {
    pub shape: Shape,
    pub path: PathBuf,
    pub bytes: u64,
    pub records: u64,
}

impl Bed {
    /// With the peers' scripts and our specifications in it.
    pub fn new(options: &Options) -> Result<Self> {
        let folder = tempfile::Builder::new()
            .prefix("outport-json-bench-")
            .tempdir_in(options.folder())
            .with_context(|| format!("making a folder in {}", options.folder().display()))?;
        for (name, text) in peers::FILES {
            std::fs::write(folder.path().join(name), text).with_context(|| format!("writing {name}"))?;
        }
        Ok(Self { folder })
    }

    /// Where everything lies, and where tools run.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Where a tool writes to.
    pub fn output(&self) -> PathBuf {
        self.folder().join("output.csv")
    }

    /// Makes an input, puts it on the disk, and reads it once. On the disk: what the kernel still had to write would disturb the
    /// first runs.
    pub fn input(&self, shape: Shape, seed: u64, size_bytes: u64) -> Result<Input> {
        let path = self.folder().join(shape.file_name());
        let doing = || format!("writing {}", path.display());
        let mut out = BufWriter::with_capacity(1 << 20, File::create(&path).with_context(doing)?);
        let written = write(shape, seed, size_bytes, &mut out).with_context(doing)?;
        out.flush().and_then(|()| out.get_ref().sync_all()).with_context(doing)?;
        let mut file = File::open(&path).with_context(doing)?;
        std::io::copy(&mut file, &mut std::io::sink()).with_context(doing)?;
        Ok(Input { shape, path, bytes: written.bytes, records: written.records })
    }

    /// Removes what a run wrote: flatterer makes a folder.
    pub fn clear(&self) -> Result<()> {
        let output = self.output();
        let removed =
            if output.is_dir() { std::fs::remove_dir_all(&output) } else { std::fs::remove_file(&output) };
        match removed {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
            other => other.with_context(|| format!("removing {}", output.display())),
        }
    }
}

impl Drop for Input {
    fn drop(&mut self) {
        if let Err(error) = std::fs::remove_file(&self.path) {
            eprintln!("json-bench: removing {}: {error}", self.path.display());
        }
    }
}
