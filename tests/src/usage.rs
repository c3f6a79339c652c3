//! What processes cost: processor time and memory, by `/proc`.

use anyhow::{Context, Result};

/// A line of proc(5) status in MiB: `VmHWM` is the peak of resident memory, `VmRSS` its present size.
///
/// # Errors
/// If the process has gone or shows no such line.
pub fn memory_mib(pid: u32, line: &str) -> Result<f64> {
    let status = read(pid, "status")?;
    let value = status.lines().find_map(|l| l.strip_prefix(line)?.strip_prefix(':'));
    let kib = value.and_then(|v| v.trim().strip_suffix(" kB")).with_context(|| format!("no {line}"))?;
    Ok(kib.parse::<f64>().with_context(|| format!("{line} is {kib}"))? / 1024.0)
}

/// Seconds of processor time of the process.
///
/// # Errors
/// If the process has gone.
pub fn cpu_s(pid: u32) -> Result<f64> {
    times(pid, &[14, 15])
}

/// Seconds of processor time of the process' children that have ended and been waited for, and of theirs.
///
/// # Errors
/// If the process has gone.
pub fn ended_children_cpu_s(pid: u32) -> Result<f64> {
    times(pid, &[16, 17])
}

/// Fields of proc(5) stat together, in ticks of 10 ms (USER_HZ is 100 on every Linux that runs here). Field 2 is the
/// name in brackets and may hold anything.
fn times(pid: u32, numbers: &[usize]) -> Result<f64> {
    let stat = read(pid, "stat")?;
    let (_, fields) = stat.rsplit_once(") ").context("a stat file without a name")?;
    let fields: Vec<&str> = fields.split(' ').collect();
    let ticks = numbers.iter().map(|number| fields.get(number - 3).unwrap_or(&"").parse::<f64>());
    Ok(ticks.sum::<Result<f64, _>>().context("reading a process' times")? / 100.0)
}

fn read(pid: u32, file: &str) -> Result<String> {
    std::fs::read_to_string(format!("/proc/{pid}/{file}")).context("reading about a process")
}
