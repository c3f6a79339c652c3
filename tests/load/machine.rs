//! What the numbers were measured on.

use anyhow::Result;
use outport_tests::invariants;

use crate::options::{Kind, Options};
use crate::world;

/// A few lines: processors, load, databases and the settings that decide what a commit costs.
pub fn describe(options: &Options) -> Result<String> {
    let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
    let cpus = read("/proc/cpuinfo");
    let field = |name: &str| {
        let line = cpus.lines().find(|line| line.starts_with(name));
        line.and_then(|line| line.split_once(": ")).map_or("unknown", |(_, value)| value).to_owned()
    };
    let cores = std::thread::available_parallelism()?;
    let load = read("/proc/loadavg");
    let load = load.split(' ').next().unwrap_or("unknown");
    let build =
        if cfg!(debug_assertions) { "DEBUG BUILD: the numbers mean nothing" } else { "release build" };
    let mut lines = vec![format!(
        "{cores} cores, {}, load average {load} at the start; {build}; {} places, {} lanes, {} round(s)",
        field("model name"),
        options.places,
        options.lanes,
        options.rounds
    )];
    for kind in options.databases() {
        lines.push(match kind {
            Kind::Postgres => world::block_on(postgres())?,
            Kind::Sqlite => world::block_on(sqlite())?,
        });
    }
    Ok(lines.join("\n"))
}

async fn postgres() -> Result<String> {
    let server = std::env::var("OUTPORT_TEST_POSTGRES")
        .map_err(|_| anyhow::anyhow!("set OUTPORT_TEST_POSTGRES, or use --on sqlite"))?;
    let connection = invariants::connect(&server).await?;
    let names = [
        "server_version",
        "fsync",
        "synchronous_commit",
        "full_page_writes",
        "wal_sync_method",
        "shared_buffers",
        "max_wal_size",
        "jit",
    ];
    let mut settings = Vec::new();
    for name in names {
        let value: String =
            world::value(&connection, &format!("SELECT current_setting('{name}') AS n")).await?;
        settings.push(format!("{name}={value}"));
    }
    connection.close().await?;
    let durable = settings.iter().any(|s| s == "fsync=on");
    let warning =
        if durable { "" } else { "; WITHOUT fsync a commit costs less than in any real installation" };
    Ok(format!("PostgreSQL: {}{warning}", settings.join(", ")))
}

async fn sqlite() -> Result<String> {
    let bed = crate::bed::Bed::open(Kind::Sqlite).await?;
    let version: String = world::value(&bed.raw, "SELECT sqlite_version() AS n").await?;
    let folder = std::env::temp_dir();
    // TMPFS_MAGIC of linux/magic.h: there fsync costs nothing.
    let in_memory = rustix::fs::statfs(&folder)?.f_type == 0x0102_1994;
    let warning =
        if in_memory { "; IN MEMORY (tmpfs): a commit costs less than in any real installation" } else { "" };
    bed.close().await?;
    Ok(format!("SQLite {version}: journal_mode=WAL, synchronous=FULL, in {}{warning}", folder.display()))
}
