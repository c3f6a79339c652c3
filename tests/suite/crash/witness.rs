//! What happens in the partner's folder, told by the kernel: neither our client nor our server has a say in it.

use std::collections::HashMap;
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use rustix::event::{PollFd, PollFlags, poll};
use rustix::fs::inotify::{CreateFlags, ReadFlags, Reader, WatchFlags, add_watch, init};
use rustix::io::Errno;
use rustix::time::Timespec;

/// One thing that happened to a name in the folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Seen {
    Created(String),
    Renamed { from: String, to: String },
    Removed(String),
}

/// Everything that happened in one folder since it is watched, in order.
pub struct Witness {
    inotify: OwnedFd,
    seen: Vec<Seen>,
    /// First halves of renames, by the cookie that their second half bears.
    leaving: HashMap<u32, String>,
}

impl Witness {
    pub fn new(folder: &Path) -> anyhow::Result<Self> {
        let inotify = init(CreateFlags::NONBLOCK | CreateFlags::CLOEXEC).context("inotify")?;
        let names = WatchFlags::CREATE | WatchFlags::MOVED_FROM | WatchFlags::MOVED_TO | WatchFlags::DELETE;
        add_watch(&inotify, folder, names).with_context(|| format!("watching {}", folder.display()))?;
        Ok(Self { inotify, seen: Vec::new(), leaving: HashMap::new() })
    }

    /// Everything seen until now.
    pub fn all(&mut self) -> anyhow::Result<&[Seen]> {
        self.read()?;
        Ok(&self.seen)
    }

    /// Waits until `enough` says yes to everything seen so far.
    pub fn wait(&mut self, limit: Duration, mut enough: impl FnMut(&[Seen]) -> bool) -> anyhow::Result<bool> {
        let deadline = Instant::now() + limit;
        loop {
            self.read()?;
            if enough(&self.seen) {
                return Ok(true);
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(false);
            }
            let mut more = [PollFd::new(&self.inotify, PollFlags::IN)];
            match poll(&mut more, Some(&Timespec::try_from(left)?)) {
                Ok(_) | Err(Errno::INTR) => {}
                Err(fault) => return Err(fault).context("waiting for inotify"),
            }
        }
    }

    fn read(&mut self) -> anyhow::Result<()> {
        let mut buffer = [MaybeUninit::uninit(); 16 * 1024];
        let mut reader = Reader::new(&self.inotify, &mut buffer);
        loop {
            let event = match reader.next() {
                Ok(event) => event,
                Err(Errno::AGAIN) => return Ok(()),
                Err(Errno::INTR) => continue,
                Err(fault) => return Err(fault).context("reading inotify"),
            };
            let kind = event.events();
            ensure!(!kind.contains(ReadFlags::QUEUE_OVERFLOW), "the witness missed something");
            let Some(name) = event.file_name() else { continue };
            let name = name.to_str().context("a name that is no UTF-8")?.to_owned();
            if kind.contains(ReadFlags::CREATE) {
                self.seen.push(Seen::Created(name));
            } else if kind.contains(ReadFlags::DELETE) {
                self.seen.push(Seen::Removed(name));
            } else if kind.contains(ReadFlags::MOVED_FROM) {
                self.leaving.insert(event.cookie(), name);
            } else if kind.contains(ReadFlags::MOVED_TO) {
                let from = self.leaving.remove(&event.cookie()).context("a rename from elsewhere")?;
                self.seen.push(Seen::Renamed { from, to: name });
            }
        }
    }
}

/// The temp names from which `name` was made, in order: one if it was made once.
pub fn renames_to<'a>(seen: &'a [Seen], name: &str) -> Vec<&'a str> {
    let from = seen.iter().filter_map(|seen| match seen {
        Seen::Renamed { from, to } if to == name => Some(from.as_str()),
        _ => None,
    });
    from.collect()
}

/// How many files stand under their final name by a rename.
pub fn renames(seen: &[Seen]) -> usize {
    seen.iter().filter(|seen| matches!(seen, Seen::Renamed { .. })).count()
}

/// How many uploads were begun.
pub fn creations(seen: &[Seen]) -> usize {
    seen.iter().filter(|seen| matches!(seen, Seen::Created(_))).count()
}
