//! Through the engine: files in a bucket, `outport up`, files at the partner's server.

use std::fmt;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use outport_tests::site::{BUCKET, Partner, Site, is_temp_name};
use outport_tests::statistics::{listed, median};
use outport_tests::usage::{cpu_s, memory_mib};

use crate::bed::Bed;
use crate::options::Options;

const LIMIT: Duration = Duration::from_secs(600);
/// How often the server's folder is looked at.
const LOOK: Duration = Duration::from_millis(5);

/// One round.
struct Round {
    wall_s: f64,
    cpu_s: f64,
    peak_mib: f64,
}

/// Files of one size.
struct Line {
    title: String,
    files: usize,
    bytes: u64,
    rounds: Vec<Round>,
}

/// The second table.
pub struct Table(Vec<Line>);

/// Measures many small files, and a large one.
pub fn table(options: &Options) -> Result<Table> {
    let mut lines = Vec::new();
    for (files, bytes) in [(options.files, options.small_kib << 10), (1, options.large_mib << 20)] {
        let bed = Bed::new(options, files, bytes, false)?;
        let title = format!("{files} x {} KiB", bytes >> 10);
        let mut line = Line { title, files, bytes: bytes * files as u64, rounds: Vec::new() };
        for number in 1..=options.rounds {
            let round = round(&bed).with_context(|| format!("in round {number} of {}", line.title))?;
            eprintln!("  round {number}: outport up, {}: {:.2} s", line.title, round.wall_s);
            line.rounds.push(round);
        }
        lines.push(line);
    }
    Ok(Table(lines))
}

/// A new installation each time: the ledger of the one before knows the files already.
fn round(bed: &Bed) -> Result<Round> {
    let site = Site::on_sqlite()?.in_real_time();
    site.apply(&[Partner::at("acme", &bed.server)])?;
    let up = site.up()?;
    let bucket = site.data().join("buckets").join(BUCKET);
    let staged: Vec<_> = bed.files.iter().map(|file| stage(file, &bucket)).collect::<Result<_>>()?;
    let cpu_before = cpu_s(up.pid())?;
    let started = Instant::now();
    for (hidden, name) in staged {
        std::fs::rename(hidden, name)?;
    }
    while arrived(bed)? < bed.files.len() {
        if started.elapsed() > LIMIT {
            bail!("not all had arrived after {} s; its log:\n{}", LIMIT.as_secs(), up.log());
        }
        std::thread::sleep(LOOK);
    }
    let wall_s = started.elapsed().as_secs_f64();
    let round =
        Round { wall_s, cpu_s: cpu_s(up.pid())? - cpu_before, peak_mib: memory_mib(up.pid(), "VmHWM")? };
    drop(up);
    bed.wait_until_idle()?;
    bed.check_and_clear()?;
    Ok(round)
}

/// Copies a file into the bucket under a name that intake leaves alone; gives that and the final name.
fn stage(file: &Path, bucket: &Path) -> Result<(std::path::PathBuf, std::path::PathBuf)> {
    let name = file.file_name().and_then(|name| name.to_str()).context("a file without a name")?;
    let hidden = bucket.join(format!(".{name}"));
    std::fs::copy(file, &hidden)?;
    Ok((hidden, bucket.join(name)))
}

fn arrived(bed: &Bed) -> Result<usize> {
    let mut count = 0;
    for entry in std::fs::read_dir(bed.server.folder())? {
        count += usize::from(!is_temp_name(&entry?.file_name().to_string_lossy()));
    }
    Ok(count)
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "## through the engine: outport up, SQLite, OpenSSH\n")?;
        writeln!(f, "| files | median s | files/s | MB/s | CPU s | peak RSS MiB | every round, s |")?;
        writeln!(f, "|---|---|---|---|---|---|---|")?;
        for line in &self.0 {
            let all = |value: fn(&Round) -> f64| line.rounds.iter().map(value).collect::<Vec<f64>>();
            let wall = median(&all(|round| round.wall_s));
            writeln!(
                f,
                "| {} | {wall:.2} | {:.0} | {:.0} | {:.2} | {:.1} | {} |",
                line.title,
                line.files as f64 / wall,
                line.bytes as f64 / 1e6 / wall,
                median(&all(|round| round.cpu_s)),
                all(|round| round.peak_mib).into_iter().fold(0.0, f64::max),
                listed(&all(|round| round.wall_s), 2),
            )?;
        }
        Ok(())
    }
}
