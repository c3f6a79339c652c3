//! What the numbers were measured on.

use std::fmt;
use std::path::Path;

use anyhow::{Context, Result};
use serde_json::{Value, json};

use crate::options::Options;
use crate::tool::Installed;

/// The machine and the versions of everything that ran.
pub struct Machine {
    cores: usize,
    processor: String,
    kernel: String,
    load_average: String,
    is_in_memory: bool,
    can_be_told_threads: bool,
    setting: String,
    versions: Vec<(String, String)>,
    missing: Vec<String>,
}

impl Machine {
    /// Asks `/proc`, and what the tools said of themselves.
    pub fn look(options: &Options, installed: &Installed, folder: &Path) -> Result<Self> {
        let read = |path: &str| std::fs::read_to_string(path).with_context(|| format!("reading {path}"));
        let cpus = read("/proc/cpuinfo")?;
        let processor = cpus.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
        // TMPFS_MAGIC of linux/magic.h.
        let is_in_memory = rustix::fs::statfs(folder)?.f_type == 0x0102_1994;
        let versions = installed.versions().iter().map(|(name, version)| (name.clone(), version.clone()));
        Ok(Self {
            cores: std::thread::available_parallelism()?.get(),
            processor: processor.map_or_else(|| "unknown".into(), |(_, name)| name.to_owned()),
            kernel: read("/proc/sys/kernel/osrelease")?.trim().to_owned(),
            load_average: load_average(),
            is_in_memory,
            can_be_told_threads: installed.can_be_told_threads,
            setting: format!("seed {}, {} interleaved round(s)", options.seed, options.rounds),
            versions: versions.collect(),
            missing: installed.missing().iter().map(ToString::to_string).collect(),
        })
    }

    /// For the file.
    pub fn to_json(&self) -> Value {
        json!({
            "cores": self.cores,
            "processor": self.processor,
            "kernel": self.kernel,
            "load_average": self.load_average,
            "is_in_memory": self.is_in_memory,
            "ours_has_threads": self.can_be_told_threads,
            "is_release": !cfg!(debug_assertions),
            "versions": self.versions.iter().cloned().collect::<std::collections::BTreeMap<_, _>>(),
            "missing": self.missing,
        })
    }
}

impl fmt::Display for Machine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let build =
            if cfg!(debug_assertions) { "DEBUG BUILD: the numbers mean nothing" } else { "release build" };
        // Some say their name first, some do not.
        let shown = |(name, version): &(String, String)| {
            if version.starts_with(name.as_str()) { version.clone() } else { format!("{name} {version}") }
        };
        let versions: Vec<String> = self.versions.iter().map(shown).collect();
        writeln!(
            f,
            "{} cores, {}, Linux {}, load average {}; {build}; {}",
            self.cores, self.processor, self.kernel, self.load_average, self.setting
        )?;
        write!(f, "versions: {}", versions.join("; "))?;
        for tool in &self.missing {
            write!(f, "\nNOT MEASURED: {tool} is not installed; the numbers below say nothing about it")?;
        }
        if !self.can_be_told_threads {
            write!(
                f,
                "\nthis build of outport has no --threads: its one row stands for every number of threads"
            )?;
        }
        if self.is_in_memory {
            write!(f, "\nthe files are in memory (tmpfs): hint: --folder with one on a disk")?;
        }
        Ok(())
    }
}

/// Of the last minute.
pub fn load_average() -> String {
    let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    load.split(' ').next().unwrap_or("unknown").to_owned()
}
