//! The command line.

use std::fmt;

use clap::{Parser, ValueEnum};

/// Prints the engine's numbers as a table. Needs a PostgreSQL server in OUTPORT_TEST_POSTGRES, unless --on sqlite.
#[derive(Debug, Clone, Parser)]
#[command(name = "load")]
pub struct Options {
    /// Rows to measure; all of them when none is named
    #[arg(long, value_enum, value_delimiter = ',')]
    rows: Vec<Row>,
    /// Databases to measure on; both when none is named
    #[arg(long, value_enum, value_delimiter = ',')]
    on: Vec<Kind>,
    /// Small sizes and one round, whatever else is said: shows that everything works and about where the numbers are
    #[arg(long)]
    quick: bool,
    /// Alternating rounds; medians are shown
    #[arg(long, default_value_t = 3)]
    pub rounds: usize,
    /// Deliveries of one round
    #[arg(long, default_value_t = 10_000)]
    pub deliveries: u64,
    /// Healthy endpoints
    #[arg(long, default_value_t = 50)]
    pub lanes: u32,
    /// Attempts at a time, as the setting workers.sends
    #[arg(long, default_value_t = 64)]
    pub places: u32,
    /// Deliveries stuck on the dead endpoint
    #[arg(long, default_value_t = 500_000)]
    pub stuck: u64,
    /// Files dispatched in one round, to 10 subscriptions each
    #[arg(long, default_value_t = 400)]
    pub files: u32,
    /// Settled deliveries of the small ledger
    #[arg(long, default_value_t = 10_000)]
    pub few: u64,
    /// Settled deliveries of the large ledger
    #[arg(long, default_value_t = 300_000)]
    pub many: u64,
    /// Claims timed on each ledger
    #[arg(long, default_value_t = 600)]
    pub claims: usize,
    /// Pick-ups timed, of each kind
    #[arg(long, default_value_t = 15)]
    pub pick_ups: usize,
    /// Seconds of idling
    #[arg(long, default_value_t = 20)]
    pub idle_seconds: u64,
    /// The smaller backlog of the row memory
    #[arg(long, default_value_t = 10_000)]
    pub small_backlog: u64,
    /// The larger backlog of the row memory
    #[arg(long, default_value_t = 500_000)]
    pub backlog: u64,
    /// Size of the files of the row memory, in KiB
    #[arg(long, default_value_t = 1_024)]
    pub file_kib: usize,
    /// Deliveries that the row memory waits for
    #[arg(long, default_value_t = 1_000)]
    pub sample: u64,
    /// Files of the row cloud
    #[arg(long, default_value_t = 2_000)]
    pub cloud_files: usize,
    /// Settled deliveries that a replay is planned for
    #[arg(long, default_value_t = 1_000_000)]
    pub planned: u64,
    /// Of them, those that are created in one round
    #[arg(long, default_value_t = 20_000)]
    pub replayed: u64,
}

impl Options {
    /// The same, made small by --quick.
    #[must_use]
    pub fn effective(self) -> Self {
        if !self.quick {
            return self;
        }
        Self {
            rounds: 1,
            deliveries: 3_000,
            stuck: 50_000,
            files: 100,
            few: 2_000,
            many: 50_000,
            claims: 200,
            pick_ups: 5,
            idle_seconds: 10,
            small_backlog: 2_000,
            backlog: 50_000,
            sample: 200,
            cloud_files: 200,
            planned: 100_000,
            replayed: 10_000,
            ..self
        }
    }

    /// The rows asked for, in the table's order.
    pub fn rows(&self) -> Vec<Row> {
        Row::value_variants()
            .iter()
            .copied()
            .filter(|r| self.rows.is_empty() || self.rows.contains(r))
            .collect()
    }

    /// The databases asked for.
    pub fn databases(&self) -> Vec<Kind> {
        Kind::value_variants().iter().copied().filter(|k| self.on.is_empty() || self.on.contains(k)).collect()
    }
}

/// What is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Row {
    /// Full deliveries a second
    Deliveries,
    /// Files dispatched a second
    Dispatch,
    /// Healthy lanes beside a dead one with a large backlog
    Stuck,
    /// Claims in a large ledger
    Claims,
    /// From the commit to the claim, when idle
    PickUp,
    /// Statements a second, when idle
    Idle,
    /// Memory at a small and at a large backlog
    Memory,
    /// Planning a replay, and creating its deliveries
    Replay,
    /// From uploads in a stand-in for AWS to the partner: by the service alone, and by workers of Batch. Needs moto
    /// (OUTPORT_TEST_MOTO)
    Cloud,
}

/// Which database.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Kind {
    /// A database of its own on the server of OUTPORT_TEST_POSTGRES
    Postgres,
    /// A file in the temporary folder
    Sqlite,
}

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        word(self, f)
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        word(self, f)
    }
}

fn word(value: &impl ValueEnum, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    f.write_str(value.to_possible_value().as_ref().map_or("", |v| v.get_name()))
}
