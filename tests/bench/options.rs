//! The command line.

use std::fmt;
use std::path::PathBuf;

use clap::{Parser, ValueEnum};

/// Compares `outport send` with other SFTP clients. Needs OpenSSH's server; clients that are not installed are left out.
#[derive(Debug, Clone, Parser)]
#[command(name = "bench")]
pub struct Options {
    /// Rows to measure; all of them when none is named
    #[arg(long, value_enum, value_delimiter = ',')]
    rows: Vec<Row>,
    /// Interleaved rounds; medians are shown
    #[arg(long, default_value_t = 5)]
    pub rounds: usize,
    /// Size of the large file, in MiB
    #[arg(long, default_value_t = 1024)]
    pub large_mib: u64,
    /// Size of the large file of the row far-large, in MiB
    #[arg(long, default_value_t = 256)]
    pub far_mib: u64,
    /// Small files; a fifth of them in the row far-small
    #[arg(long, default_value_t = 1000)]
    pub files: usize,
    /// Size of a small file, in KiB
    #[arg(long, default_value_t = 16)]
    pub small_kib: u64,
    /// Round trip to the far server, in milliseconds
    #[arg(long, default_value_t = 20)]
    pub round_trip_ms: u64,
    /// The largest file of the row memory, in MiB
    #[arg(long, default_value_t = 4096)]
    pub memory_mib: u64,
    /// Where files come from and arrive; in memory, with room for the largest file twice
    #[arg(long, default_value = "/dev/shm")]
    pub folder: PathBuf,
}

impl Options {
    /// The rows asked for, in the order of printing.
    pub fn rows(&self) -> Vec<Row> {
        let wanted = |row: &Row| self.rows.is_empty() || self.rows.contains(row);
        Row::value_variants().iter().copied().filter(wanted).collect()
    }
}

/// What is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Row {
    /// One large file
    Large,
    /// Many small files, with temporary name and rename
    Small,
    /// One large file to a server that is far away
    FarLarge,
    /// Small files to a server that is far away
    FarSmall,
    /// What `outport send` takes in memory
    Memory,
    /// The same files through the engine: from the bucket to the server, with `outport up`
    Engine,
}

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.to_possible_value().as_ref().map_or("", |v| v.get_name()))
    }
}
