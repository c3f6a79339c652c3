//! What is measured, and what it should come to (issue 4, "What it must show").

use anyhow::{Context, Result};

use crate::bed::{Bed, measured_round_trip};
use crate::client::Client;
use crate::measure::{Run, run};
use crate::options::Options;
use crate::table::{Goal, Line, Table, Unit};

const MIB: u64 = 1 << 20;
/// OpenSSH's window of one channel, in MB: no client can have more under way on it.
const WINDOW_MB: f64 = 2.097_152;

/// One large file.
pub fn large(options: &Options, clients: &[Client]) -> Result<Table> {
    let bed = Bed::new(options, 1, options.large_mib * MIB, false)?;
    let clients = without(clients, &[Client::OutportTwo]);
    let lines = rounds(options, &bed, &clients, false)?;
    let gib = options.large_mib as f64 / 1024.0;
    let mut table =
        Table::new(format!("{} MiB in one file", options.large_mib), Unit::Bytes(options.large_mib * MIB));
    table.goals = vec![
        Goal::ratio(&lines, Client::Sftp, 1.5),
        Goal::ratio(&lines, Client::SftpTuned, 1.1),
        Goal::ratio(&lines, Client::Rclone, 2.5),
    ];
    if let Some(ours) = lines.iter().find(|line| line.client == Client::Outport) {
        table.goals.push(Goal::at_most(
            "CPU seconds a GiB of our own",
            ours.median(|r| r.client_cpu_s) / gib,
            1.1,
        ));
        table.goals.push(Goal::at_most("our peak in MiB", ours.most(|r| r.peak_mib), 24.0));
    }
    table.lines = lines;
    Ok(table)
}

/// Many small files.
pub fn small(options: &Options, clients: &[Client]) -> Result<Table> {
    let bed = Bed::new(options, options.files, options.small_kib * 1024, false)?;
    let clients = without(clients, &[Client::OutportTwo, Client::SftpTuned]);
    let lines = rounds(options, &bed, &clients, true)?;
    let title = format!(
        "{} files of {} KiB; ours and sftp -b with temporary name and rename",
        options.files, options.small_kib
    );
    let mut table = Table::new(title, Unit::Files(options.files));
    table.goals = vec![Goal::ratio(&lines, Client::Sftp, 3.5), Goal::ratio(&lines, Client::Rclone, 10.0)];
    table.lines = lines;
    Ok(table)
}

/// One large file, far away.
pub fn far_large(options: &Options, clients: &[Client]) -> Result<Table> {
    let bed = Bed::new(options, 1, options.far_mib * MIB, true)?;
    // curl waits for an answer after each 32 KiB or so: at 20 ms that takes minutes and shows nothing.
    let clients = without(clients, &[Client::Curl, Client::Lftp]);
    let lines = rounds(options, &bed, &clients, false)?;
    let round_trip = measured_round_trip(options)?;
    let title = format!(
        "{} MiB in one file, {} ms to the server and back (measured: {:.1})",
        options.far_mib,
        options.round_trip_ms,
        round_trip.as_secs_f64() * 1e3
    );
    let mut table = Table::new(title, Unit::Bytes(options.far_mib * MIB));
    let limit = WINDOW_MB / round_trip.as_secs_f64();
    if let Some(ours) = lines.iter().find(|line| line.client == Client::Outport) {
        let speed = options.far_mib as f64 * MIB as f64 / 1e6 / ours.median(|r| r.wall_s);
        let what = format!("our part of window / round trip ({limit:.0} MB/s)");
        table.goals = vec![
            Goal::at_least(&what, speed / limit, 0.7),
            Goal::between(&lines, Client::OutportTwo, Client::Outport, 1.5),
        ];
    }
    table.lines = lines;
    Ok(table)
}

/// Small files, far away.
pub fn far_small(options: &Options, clients: &[Client]) -> Result<Table> {
    let count = options.files / 5;
    let bed = Bed::new(options, count, options.small_kib * 1024, true)?;
    let clients = without(clients, &[Client::OutportTwo, Client::SftpTuned, Client::Curl]);
    let lines = rounds(options, &bed, &clients, true)?;
    let title = format!(
        "{count} files of {} KiB, {} ms to the server and back; ours and sftp -b with temporary name and rename",
        options.small_kib, options.round_trip_ms
    );
    let mut table = Table::new(title, Unit::Files(count));
    table.goals = vec![Goal::ratio(&lines, Client::Sftp, 20.0)];
    table.lines = lines;
    Ok(table)
}

/// Our own memory: by the size of a file, and by the number of files at a time.
pub fn memory(options: &Options) -> Result<Table> {
    let small = options.memory_mib / 4;
    let mut table =
        Table::new("memory of outport send, by size and number of large files".into(), Unit::None);
    let mut peaks = Vec::new();
    for (count, mib) in [(1, small), (1, options.memory_mib), (4, small / 4), (16, small / 16)] {
        let bed = Bed::new(options, count, mib * MIB, false)?;
        let run = run(&bed, Client::Outport.command(&bed, false)?)?;
        peaks.push(run.peak_mib);
        let mut line = Line::new(Client::Outport, format!("outport send, {count} x {mib} MiB"));
        line.runs.push(run);
        table.lines.push(line);
    }
    table.goals = vec![
        Goal::at_most("peak in MiB at the largest size", peaks[1], 24.0),
        Goal::at_most("MiB more at 4 times the size", peaks[1] - peaks[0], 2.0),
        Goal::at_most("MiB for each of 3 further uploads", (peaks[2] - peaks[0]) / 3.0, 8.0),
    ];
    Ok(table)
}

fn without(clients: &[Client], these: &[Client]) -> Vec<Client> {
    clients.iter().copied().filter(|client| !these.contains(client)).collect()
}

/// Interleaved; who begins changes from round to round.
fn rounds(options: &Options, bed: &Bed, clients: &[Client], rename: bool) -> Result<Vec<Line>> {
    let mut lines: Vec<Line> = clients.iter().map(|client| Line::new(*client, client.to_string())).collect();
    for round in 0..options.rounds {
        for turn in 0..lines.len() {
            let at = (round + turn) % clients.len();
            let measured = run(bed, clients[at].command(bed, rename)?)
                .with_context(|| format!("in round {} of {}", round + 1, clients[at]))?;
            told(round, clients[at], &measured);
            lines[at].runs.push(measured);
        }
    }
    Ok(lines)
}

/// A long run that is broken off has told what it knew.
fn told(round: usize, client: Client, run: &Run) {
    eprintln!(
        "  round {}: {client}: {:.2} s, CPU {:.2}+{:.2} s, {:.0} MiB",
        round + 1,
        run.wall_s,
        run.client_cpu_s,
        run.server_cpu_s,
        run.peak_mib
    );
}
