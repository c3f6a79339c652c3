//! The kernel's watcher as a source of hints. What it misses the sweep finds, so nothing here may block or grow.

use std::collections::{BTreeMap, HashMap};
use std::ops::Bound;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use notify::event::{AccessKind, AccessMode, CreateKind, ModifyKind, RenameMode};
use notify::{Config, ErrorKind, Event, EventKind, RecommendedWatcher, RecursiveMode, Watcher};
use tokio::sync::{Notify, mpsc};

use super::How;
use super::arrivals::Seen;
use super::spot::{hides, waits};
use crate::fault::shown_path;

/// Hints that may wait for us: as many as the kernel keeps (fs.inotify.max_queued_events).
const QUEUE: usize = 16_384;
/// A file that is being written makes one event a write(2); one hint in this time is enough.
const WRITTEN_EVERY: Duration = Duration::from_secs(1);
/// Files being written that are told apart for that.
const WRITTEN_MAX: usize = 10_000;

/// Something happened at a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Hint {
    pub(super) path: PathBuf,
    pub(super) seen: Seen,
}

/// The hints as they come, and the bell that rings when some were lost.
pub(super) struct Hints {
    pub(super) queue: mpsc::Receiver<Hint>,
    pub(super) lost: Arc<Notify>,
    // So that the queue stays open where there is no watcher at all.
    _sender: mpsc::Sender<Hint>,
}

/// The folders that are watched. One watch a folder, set *before* the folder is listed: what is in it before is
/// listed, what comes later makes an event. A recursive watch of the library sets its watches after the fact and
/// loses files in new folders without a word (209 of 5,000 arrived).
#[derive(Clone)]
pub(super) struct Watches(Arc<Mutex<Watched>>);

struct Watched {
    watcher: Option<RecommendedWatcher>,
    /// Path and inode of each: a folder that was replaced by another of the same name needs a new watch.
    folders: BTreeMap<PathBuf, u64>,
    warned: bool,
}

/// Starts the watcher. Without one (no inotify instance left) the sweep does all the work, later.
pub(super) fn start() -> (Hints, Watches) {
    let (sender, queue) = mpsc::channel(QUEUE);
    let lost = Arc::new(Notify::new());
    let listener = Listener { sender: sender.clone(), lost: lost.clone(), written: HashMap::new() };
    let config = Config::default().with_follow_symlinks(false);
    let watcher = match RecommendedWatcher::new(listener, config) {
        Ok(watcher) => Some(watcher),
        Err(error) => {
            tracing::warn!(%error, "the bucket folders cannot be watched; files are found by the sweep only");
            None
        }
    };
    let watched = Watched { watcher, folders: BTreeMap::new(), warned: false };
    (Hints { queue, lost, _sender: sender }, Watches(Arc::new(Mutex::new(watched))))
}

impl Watches {
    /// Watches a folder, unless it is watched already. Blocks for as long as the watcher's thread takes (about 30 µs).
    pub(super) fn watch(&self, folder: &Path, inode: u64) {
        let mut guard = self.lock();
        let watched = &mut *guard;
        let Some(watcher) = &mut watched.watcher else { return };
        if watched.folders.get(folder) == Some(&inode) {
            return;
        }
        match watcher.watch(folder, RecursiveMode::NonRecursive) {
            Ok(()) => {
                watched.folders.insert(folder.to_owned(), inode);
            }
            Err(error) if matches!(error.kind, ErrorKind::PathNotFound) => {}
            Err(error) if !std::mem::replace(&mut watched.warned, true) => {
                let path = shown_path(folder);
                tracing::warn!(path, %error, "a folder cannot be watched; its files are found by the sweep only \
                    (raise fs.inotify.max_user_watches)");
            }
            Err(error) => tracing::debug!(path = shown_path(folder), %error, "a folder cannot be watched"),
        }
    }

    /// A path is gone: if it was a folder, the watcher dropped its watch and those of all below it.
    pub(super) fn forget(&self, path: &Path) {
        let mut watched = self.lock();
        // Paths are ordered by segment, so a folder and all below it stand together.
        let below: Vec<PathBuf> = watched
            .folders
            .range::<Path, _>((Bound::Included(path), Bound::Unbounded))
            .map(|(folder, _)| folder)
            .take_while(|folder| folder.starts_with(path))
            .cloned()
            .collect();
        for folder in below {
            watched.folders.remove(&folder);
        }
    }

    /// Events were lost, perhaps of folders that went: each is watched anew when the sweep comes by.
    pub(super) fn forget_all(&self) {
        self.lock().folders.clear();
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Watched> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Runs on the watcher's thread for each event.
struct Listener {
    sender: mpsc::Sender<Hint>,
    lost: Arc<Notify>,
    written: HashMap<PathBuf, Instant>,
}

impl notify::EventHandler for Listener {
    fn handle_event(&mut self, event: notify::Result<Event>) {
        match event {
            Ok(event) if event.need_rescan() => self.lost.notify_one(),
            Ok(event) => {
                let Some(hint) = hint_of(event) else { return };
                if self.is_new(&hint) && self.sender.try_send(hint).is_err() {
                    self.lost.notify_one();
                }
            }
            Err(error) => {
                tracing::debug!(%error, "the watcher reports an error");
                self.lost.notify_one();
            }
        }
    }
}

impl Listener {
    fn is_new(&mut self, hint: &Hint) -> bool {
        if hint.seen != Seen::Written {
            self.written.remove(&hint.path);
            return true;
        }
        let now = Instant::now();
        if self.written.get(&hint.path).is_some_and(|told| now.duration_since(*told) < WRITTEN_EVERY) {
            return false;
        }
        if self.written.len() >= WRITTEN_MAX {
            self.written.clear();
        }
        self.written.insert(hint.path.clone(), now);
        true
    }
}

/// What an event says about which path, if it is one that matters.
fn hint_of(event: Event) -> Option<Hint> {
    let (seen, is_file) = match event.kind {
        EventKind::Modify(ModifyKind::Name(RenameMode::To)) => (Seen::RenamedIn, false),
        EventKind::Modify(ModifyKind::Name(RenameMode::From)) | EventKind::Remove(_) => (Seen::Left, false),
        // Both repeats From and To.
        EventKind::Modify(ModifyKind::Name(RenameMode::Both)) => return None,
        EventKind::Modify(ModifyKind::Name(_)) => (Seen::Found(How::Watch), false),
        EventKind::Access(AccessKind::Close(AccessMode::Write)) => (Seen::Closed, true),
        EventKind::Modify(ModifyKind::Data(_)) => (Seen::Written, true),
        EventKind::Create(CreateKind::File) => (Seen::Found(How::Watch), true),
        EventKind::Create(_) => (Seen::Found(How::Watch), false),
        _ => return None,
    };
    let path = event.paths.into_iter().next()?;
    let name = path.file_name()?;
    // Unfinished uploads make most of the events of a busy bucket; none of them matters.
    let idle = if is_file { waits(name) } else { hides(name) };
    (!idle).then_some(Hint { path, seen })
}

#[cfg(test)]
mod tests {
    use notify::EventHandler;
    use notify::event::{DataChange, Flag, RemoveKind};

    use super::*;

    fn event(kind: EventKind, path: &str) -> Event {
        Event::new(kind).add_path(path.into())
    }

    const WRITTEN: EventKind = EventKind::Modify(ModifyKind::Data(DataChange::Any));
    const CLOSED: EventKind = EventKind::Access(AccessKind::Close(AccessMode::Write));
    const RENAMED: EventKind = EventKind::Modify(ModifyKind::Name(RenameMode::To));

    #[test]
    fn events_that_matter() {
        let cases = [
            (RENAMED, "/b/i/a", Some(Seen::RenamedIn)),
            (RENAMED, "/b/i/folder.tmp", Some(Seen::RenamedIn)),
            (RENAMED, "/b/i/.a", None),
            (CLOSED, "/b/i/a", Some(Seen::Closed)),
            (CLOSED, "/b/i/a.part", None),
            (WRITTEN, "/b/i/a", Some(Seen::Written)),
            (EventKind::Create(CreateKind::File), "/b/i/a", Some(Seen::Found(How::Watch))),
            (EventKind::Create(CreateKind::File), "/b/i/a.tmp", None),
            (EventKind::Create(CreateKind::Folder), "/b/i/a.tmp", Some(Seen::Found(How::Watch))),
            (EventKind::Remove(RemoveKind::Folder), "/b/i/a", Some(Seen::Left)),
            (EventKind::Access(AccessKind::Open(AccessMode::Any)), "/b/i/a", None),
            (EventKind::Access(AccessKind::Close(AccessMode::Read)), "/b/i/a", None),
        ];
        for (kind, path, want) in cases {
            let want = want.map(|seen| Hint { path: path.into(), seen });
            assert_eq!(hint_of(event(kind, path)), want, "{kind:?} {path}");
        }
    }

    #[tokio::test]
    async fn a_full_queue_rings_the_bell_instead_of_blocking() {
        let (sender, mut queue) = mpsc::channel(1);
        let lost = Arc::new(Notify::new());
        let mut listener = Listener { sender, lost: lost.clone(), written: HashMap::new() };
        for name in ["/b/i/a", "/b/i/b"] {
            listener.handle_event(Ok(event(CLOSED, name)));
        }
        lost.notified().await;
        assert_eq!(queue.recv().await.unwrap().path, Path::new("/b/i/a"));
        listener.handle_event(Ok(Event::new(EventKind::Other).set_flag(Flag::Rescan)));
        lost.notified().await;
        listener.handle_event(Err(notify::Error::generic("broken")));
        lost.notified().await;
        assert!(queue.try_recv().is_err());
    }

    #[test]
    fn a_long_write_makes_few_hints_and_what_comes_after_it_makes_more() {
        let (sender, mut queue) = mpsc::channel(10);
        let mut listener = Listener { sender, lost: Arc::default(), written: HashMap::new() };
        for kind in [WRITTEN, WRITTEN, WRITTEN, CLOSED, RENAMED, WRITTEN] {
            listener.handle_event(Ok(event(kind, "/b/i/a")));
        }
        let seen: Vec<Seen> = std::iter::from_fn(|| queue.try_recv().ok()).map(|hint| hint.seen).collect();
        assert_eq!(seen, [Seen::Written, Seen::Closed, Seen::RenamedIn, Seen::Written]);
    }

    #[test]
    fn a_folder_that_went_takes_along_those_below_it_only() {
        let (_hints, watches) = start();
        let root = tempfile::tempdir().unwrap();
        let at = |name: &str| root.path().join(name);
        for name in ["a", "a/b", "a/b/c", "a.b", "ab"] {
            std::fs::create_dir_all(at(name)).unwrap();
            watches.watch(&at(name), 1);
        }
        watches.forget(&at("a"));
        let left: Vec<PathBuf> = watches.lock().folders.keys().cloned().collect();
        assert_eq!(left, [at("a.b"), at("ab")]);
    }
}
