//! The command line.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result};
use clap::{Parser, ValueEnum};
use outport_tests::json_inputs::{Shape, Size};

/// Compares `outport transform json-to-csv` with other tools. Those that are not installed are left out.
#[derive(Debug, Clone, Parser)]
#[command(name = "json-bench", bin_name = "tests/run --bench json", max_term_width = 110)]
pub struct Options {
    /// What the inputs are made from: the same seed gives the same bytes
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// Size of each input: 300MB, 5GB, or a number of bytes
    #[arg(long, default_value = "300MB")]
    pub size: Size,
    /// Interleaved rounds; medians are shown
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..))]
    pub rounds: u32,
    /// Inputs to measure; all of them when none is named
    #[arg(long, value_enum, value_delimiter = ',')]
    only: Vec<Shape>,
    /// Other tools to measure; all of them when none is named
    #[arg(long, value_enum, value_delimiter = ',')]
    peers: Vec<Peer>,
    /// Numbers of threads for ours and for those that can be told
    #[arg(long, value_delimiter = ',', default_value = "1,2", value_parser = clap::value_parser!(u16).range(1..))]
    threads: Vec<u16>,
    /// Seconds that one run may take; a tool that takes longer is stopped and not run again on that input
    #[arg(long, default_value_t = 300, value_parser = clap::value_parser!(u64).range(1..))]
    limit: u64,
    /// Also run ours on a flat file of --size and on one of 5 GB, for its memory
    #[arg(long)]
    pub memory_5gb: bool,
    /// What --memory-5gb takes instead of 5 GB: to see that it works
    #[arg(long, default_value = "5GB", requires = "memory_5gb")]
    pub memory_size: Size,
    /// A folder with room for an input and its CSV, on a disk (8 GB with --memory-5gb); the one for temporary files unless given
    #[arg(long)]
    folder: Option<PathBuf>,
    /// The file for every single run; beside this program unless it is given
    #[arg(long)]
    json: Option<PathBuf>,
    /// A Python that has the packages of tests/machine/json_peers.txt; tests/run names it in OUTPORT_BENCH_PYTHON
    #[arg(long)]
    python: Option<PathBuf>,
}

/// A tool that ours is compared with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Peer {
    /// DuckDB by its Python package
    Duckdb,
    /// Polars by its Python package
    Polars,
    /// flatterer, by its command line
    Flatterer,
    /// pandas
    Pandas,
    /// Miller
    Miller,
    /// jq
    Jq,
    /// The program that anybody would write with serde_json and csv
    Plain,
    /// cp: what copying the input takes
    Cp,
    /// Ours alone
    None,
}

impl Options {
    /// The inputs asked for, in the order of printing.
    pub fn shapes(&self) -> Vec<Shape> {
        let wanted = |shape: &Shape| self.only.is_empty() || self.only.contains(shape);
        Shape::ALL.into_iter().filter(wanted).collect()
    }

    /// Whether `peer` is asked for.
    pub fn wants(&self, peer: Peer) -> bool {
        !self.peers.contains(&Peer::None) && (self.peers.is_empty() || self.peers.contains(&peer))
    }

    /// Numbers of threads, each once, fewest first.
    pub fn threads(&self) -> Vec<usize> {
        let mut threads: Vec<usize> = self.threads.iter().copied().map(usize::from).collect();
        threads.sort_unstable();
        threads.dedup();
        threads
    }

    /// Where inputs and outputs lie.
    pub fn folder(&self) -> PathBuf {
        self.folder.clone().unwrap_or_else(std::env::temp_dir)
    }

    /// The Python of the peers.
    pub fn python(&self) -> PathBuf {
        let named = || std::env::var_os("OUTPORT_BENCH_PYTHON").map(PathBuf::from);
        self.python.clone().or_else(named).unwrap_or_else(|| "python3".into())
    }

    /// What one run may take.
    pub const fn limit(&self) -> Duration {
        Duration::from_secs(self.limit)
    }

    /// Where every run is written to.
    pub fn report(&self) -> Result<PathBuf> {
        let beside = || {
            let program = std::env::current_exe().context("finding out where this program lies")?;
            Ok(program.with_file_name("json-bench.json"))
        };
        self.json.clone().map_or_else(beside, Ok)
    }
}
