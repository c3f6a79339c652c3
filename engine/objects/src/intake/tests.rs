//! The whole intake, on the real file system, with the kernel's own watcher. Positive checks wait on the channel;
//! "nothing else comes" is checked by a last file that must be the next one.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::fs;
use std::io::Write;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, symlink};
use std::path::Path;
use std::time::{Instant, SystemTime};

use tempfile::TempDir;

use super::*;

const NEVER: Duration = Duration::from_secs(3_600);
const QUIET: Duration = Duration::from_millis(60);
const PATIENCE: Duration = Duration::from_secs(60);

struct World {
    root: TempDir,
    intake: Intake,
}

fn buckets() -> TempDir {
    let root = tempfile::tempdir().unwrap();
    fs::create_dir(root.path().join("inbox")).unwrap();
    root
}

impl World {
    /// An intake after its first sweep. From here on sweeps come only when asked for, unless events are lost.
    async fn start(root: TempDir, quiet: Duration, since: Since) -> Self {
        let store = FolderStore::open(root.path()).await.unwrap();
        let mut world = Self { intake: Intake::start(&store, Settings { quiet, sweep: NEVER, since }), root };
        world.swept(1).await;
        world
    }

    async fn new(quiet: Duration) -> Self {
        Self::start(buckets(), quiet, Arc::new(|_| 0)).await
    }

    fn at(&self, path: impl AsRef<Path>) -> PathBuf {
        self.root.path().join(path)
    }

    fn write(&self, path: &str, content: &str) {
        fs::create_dir_all(self.at(path).parent().unwrap()).unwrap();
        fs::write(self.at(path), content).unwrap();
    }

    fn rename_in(&self, path: &str, content: &str) {
        let part = self.at("inbox/.rename-in.part");
        fs::write(&part, content).unwrap();
        fs::rename(part, self.at(path)).unwrap();
    }

    async fn swept(&mut self, count: u64) {
        let mut sweeps = self.intake.sweeps();
        tokio::time::timeout(PATIENCE, sweeps.wait_for(|ended| *ended >= count)).await.unwrap().unwrap();
    }

    async fn sweep(&mut self) {
        let before = *self.intake.sweeps().borrow();
        self.intake.sweep_now();
        self.swept(before + 1).await;
    }

    async fn next(&mut self) -> Arrived {
        tokio::time::timeout(PATIENCE, self.intake.next()).await.expect("nothing arrived").unwrap()
    }

    /// The next file's bucket/key, acknowledged.
    async fn next_key(&mut self) -> String {
        let arrived = self.next().await;
        let name = format!("{}/{}", arrived.bucket, arrived.key.as_ref().unwrap_or_else(|bad| &bad.lossy));
        arrived.done();
        name
    }

    async fn next_keys(&mut self, count: usize) -> BTreeSet<String> {
        let mut keys = BTreeSet::new();
        while keys.len() < count {
            let key = self.next_key().await;
            assert!(keys.insert(key.clone()), "{key} came twice");
        }
        keys
    }

    /// Sweeps for three quiet times; then only a file that is renamed in now may come.
    async fn nothing_else_comes(&mut self, quiet: Duration) {
        let begin = Instant::now();
        while begin.elapsed() < quiet * 3 {
            self.sweep().await;
            tokio::task::yield_now().await;
        }
        self.rename_in("inbox/the-last-one", &format!("{begin:?}"));
        assert_eq!(self.next_key().await, "inbox/the-last-one");
    }
}

#[tokio::test]
async fn renamed_into_place_is_reported_at_once() {
    let mut world = World::new(NEVER).await;
    world.rename_in("inbox/a b+c.json", "{}");
    let arrived = world.next().await;
    assert_eq!((arrived.bucket.as_str(), arrived.key.as_deref()), ("inbox", Ok("a b+c.json")));
    assert_eq!((arrived.how, arrived.signature.size_bytes), (How::Watch, 2));
    let there = world.at("inbox/a b+c.json");
    assert_eq!((&arrived.path, arrived.signature.inode), (&there, there.metadata().unwrap().ino()));
    arrived.done();
    world.write("elsewhere", "from outside");
    fs::rename(world.at("elsewhere"), world.at("inbox/from outside")).unwrap();
    assert_eq!(world.next_key().await, "inbox/from outside");
}

#[tokio::test]
async fn written_in_place_is_reported_when_it_is_closed_and_quiet() {
    let mut world = World::new(QUIET).await;
    let begin = Instant::now();
    world.write("inbox/a", "content");
    assert_eq!(world.next_key().await, "inbox/a");
    assert!(begin.elapsed() >= QUIET);
    // A hard link makes no event but its creation.
    world.write("outside", "linked");
    fs::hard_link(world.at("outside"), world.at("inbox/linked")).unwrap();
    fs::remove_file(world.at("outside")).unwrap();
    let begin = Instant::now();
    assert_eq!(world.next_key().await, "inbox/linked");
    assert!(begin.elapsed() < PATIENCE / 2);
}

#[tokio::test]
async fn a_half_written_file_is_not_reported_however_long_its_writer_stalls() {
    let mut world = World::new(QUIET).await;
    let mut file = fs::File::create(world.at("inbox/slow")).unwrap();
    file.write_all(b"half of ").unwrap();
    world.nothing_else_comes(QUIET).await;
    file.write_all(b"the file").unwrap();
    world.nothing_else_comes(QUIET).await;
    drop(file);
    let arrived = world.next().await;
    assert_eq!((arrived.key.as_deref(), arrived.signature.size_bytes), (Ok("slow"), 16));
}

#[tokio::test]
async fn a_file_that_keeps_growing_unseen_is_not_reported() {
    // Written before the start, so that no event tells of it: only the two looks protect it.
    let root = buckets();
    let mut file = fs::File::create(root.path().join("inbox/growing")).unwrap();
    file.write_all(b"1").unwrap();
    let quiet = Duration::from_millis(300);
    let mut world = World::start(root, quiet, Arc::new(|_| 0)).await;
    let begin = Instant::now();
    let mut last_write = Instant::now();
    while begin.elapsed() < quiet * 3 {
        file.write_all(b"+").unwrap();
        last_write = Instant::now();
        assert!(tokio::time::timeout(Duration::from_millis(20), world.intake.next()).await.is_err());
    }
    drop(file);
    assert_eq!(world.next_key().await, "inbox/growing");
    assert!(last_write.elapsed() >= quiet);
}

#[tokio::test]
async fn five_thousand_files_in_new_nested_folders_are_all_found_without_a_sweep() {
    let mut world = World::new(QUIET).await;
    let root = world.root.path().to_owned();
    let writer = std::thread::spawn(move || {
        for folder in 0..500 {
            let folder = root.join(format!("inbox/new{folder}/deep/er"));
            fs::create_dir_all(&folder).unwrap();
            for file in 0..10 {
                fs::write(folder.join(file.to_string()), "x").unwrap();
            }
        }
    });
    let keys = world.next_keys(5_000).await;
    writer.join().unwrap();
    assert!(keys.contains("inbox/new499/deep/er/9"));
    world.nothing_else_comes(QUIET).await;
}

#[tokio::test]
async fn a_consumer_that_sleeps_through_thousands_of_files_loses_none() {
    let mut world = World::new(QUIET).await;
    // Three hints each, so more than the queue holds: the bell rings, and the sweep makes good.
    let count = 8_000;
    for number in 0..count {
        world.write(&format!("inbox/{number}"), "x");
    }
    let before = *world.intake.sweeps().borrow();
    let mut keys = BTreeMap::new();
    while keys.len() < count {
        *keys.entry(world.next_key().await).or_insert(0) += 1;
    }
    world.swept(before + 1).await;
    assert_eq!(keys.values().max(), Some(&1), "none may come twice");
}

#[tokio::test]
async fn links_hidden_and_unfinished_files_are_not_reported() {
    let root = buckets();
    let at = |path: &str| root.path().join(path);
    for folder in ["inbox/.hidden", ".git", "outside", "inbox/folder.tmp"] {
        fs::create_dir(at(folder)).unwrap();
    }
    let waiting = [
        "inbox/.a",
        "inbox/a.part",
        "inbox/a.tmp",
        "inbox/a.filepart",
        "inbox/.hidden/a",
        ".git/a",
        "beside",
    ];
    for path in waiting.into_iter().chain(["inbox/folder.tmp/a"]) {
        fs::write(at(path), "x").unwrap();
    }
    symlink("/etc", at("inbox/linked")).unwrap();
    symlink("/etc/hostname", at("inbox/link")).unwrap();
    symlink("/etc", at("etc")).unwrap();
    rustix::fs::mknodat(
        rustix::fs::CWD,
        at("inbox/pipe"),
        rustix::fs::FileType::Fifo,
        rustix::fs::Mode::from_raw_mode(0o600),
        0,
    )
    .unwrap();
    let mut world = World::start(root, QUIET, Arc::new(|_| 0)).await;
    assert_eq!(world.next_key().await, "inbox/folder.tmp/a");
    // The same again, now by events.
    for path in waiting {
        fs::write(world.at(path), "again").unwrap();
    }
    symlink("/etc", world.at("inbox/linked2")).unwrap();
    symlink("/etc/hostname", world.at("inbox/link2")).unwrap();
    world.nothing_else_comes(QUIET).await;
    fs::rename(world.at("inbox/a.part"), world.at("inbox/a")).unwrap();
    assert_eq!(world.next_key().await, "inbox/a");
}

#[tokio::test]
async fn a_name_that_is_not_text_is_reported_once_as_a_bad_key() {
    let root = buckets();
    fs::write(root.path().join("inbox").join(OsStr::from_bytes(b"caf\xe9.json")), "x").unwrap();
    let mut world = World::start(root, QUIET, Arc::new(|_| 0)).await;
    let arrived = world.next().await;
    let bad = arrived.key.clone().unwrap_err();
    assert_eq!(bad.lossy, "caf\u{fffd}.json");
    assert_eq!(bad.fault.code, &outport_core::code::INTAKE_BAD_KEY);
    arrived.done();
    world.nothing_else_comes(QUIET).await;
}

#[tokio::test]
async fn the_sweep_leaves_old_files_alone_and_goes_by_ctime() {
    let root = buckets();
    let old = root.path().join("inbox/old");
    fs::write(&old, "x").unwrap();
    let Look::File(signature) = look(&old) else { panic!("no file") };
    let since = signature.changed_at() + 1;
    // Moved in, with the mtime of long ago, after the horizon: the kernel's ctime tells.
    let part = root.path().join("inbox/moved.part");
    fs::write(&part, "x").unwrap();
    let long_ago = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000_000);
    let moved = root.path().join("inbox/moved");
    loop {
        fs::File::options().write(true).open(&part).unwrap().set_modified(long_ago).unwrap();
        fs::rename(&part, &moved).unwrap();
        match look(&moved) {
            Look::File(signature) if signature.changed_at() >= since => break,
            _ => fs::rename(&moved, &part).unwrap(),
        }
    }
    fs::create_dir(root.path().join("archive")).unwrap();
    fs::write(root.path().join("archive/all"), "x").unwrap();
    let by_bucket: Since = Arc::new(move |bucket| if bucket == "archive" { i64::MAX } else { since });
    let mut world = World::start(root, QUIET, by_bucket).await;
    let arrived = world.next().await;
    assert_eq!((arrived.key.as_deref(), arrived.how), (Ok("moved"), How::Sweep));
    arrived.done();
    world.nothing_else_comes(QUIET).await;
    // An event is an event, however far back the sweep looks; and a folder brings nothing old along.
    world.write("archive/new", "x");
    assert_eq!(world.next_key().await, "archive/new");
    fs::create_dir(world.at("outside")).unwrap();
    fs::rename(world.at("inbox/old"), world.at("outside/old")).unwrap();
    fs::rename(world.at("outside"), world.at("archive/moved in whole")).unwrap();
    world.nothing_else_comes(QUIET).await;
}

#[tokio::test]
async fn only_what_is_acknowledged_is_not_reported_again() {
    let mut world = World::new(QUIET).await;
    world.rename_in("inbox/a", "1");
    let in_work = world.next().await;
    world.nothing_else_comes(QUIET).await;
    drop(in_work);
    world.sweep().await;
    let again = world.next().await;
    assert_eq!((again.key.as_deref(), again.how), (Ok("a"), How::Sweep));
    again.look_again();
    let at_once = world.next().await;
    assert_eq!((at_once.key.as_deref(), at_once.how), (Ok("a"), How::Watch));
    at_once.done();
    world.nothing_else_comes(QUIET).await;
    world.rename_in("inbox/a", "2");
    assert_eq!(world.next_key().await, "inbox/a");
    // What is gone is asked for again without harm.
    world.rename_in("inbox/b", "2");
    let gone = world.next().await;
    fs::remove_file(world.at("inbox/b")).unwrap();
    gone.look_again();
    world.nothing_else_comes(QUIET).await;
}

#[tokio::test]
async fn buckets_and_folders_may_come_go_and_move() {
    let mut world = World::new(QUIET).await;
    world.write("second/a", "x");
    assert_eq!(world.next_key().await, "second/a");

    // A folder that moves takes its files along, and is watched where it is now.
    world.write("inbox/one/deep/a", "x");
    assert_eq!(world.next_key().await, "inbox/one/deep/a");
    fs::rename(world.at("inbox/one"), world.at("inbox/two")).unwrap();
    assert_eq!(world.next_key().await, "inbox/two/deep/a");
    world.rename_in("inbox/two/deep/b", "x");
    assert_eq!(world.next_key().await, "inbox/two/deep/b");

    // Removed and made again under the same name: another folder, and a new watch.
    fs::remove_dir_all(world.at("second")).unwrap();
    world.write("second/b", "x");
    assert_eq!(world.next_key().await, "second/b");
    world.rename_in("second/c", "x");
    assert_eq!(world.next_key().await, "second/c");

    // The whole root goes and comes back: the next sweep watches the new one.
    fs::remove_dir_all(world.root.path()).unwrap();
    world.sweep().await;
    fs::create_dir_all(world.at("inbox")).unwrap();
    world.sweep().await;
    world.rename_in("inbox/d", "x");
    assert_eq!(world.next_key().await, "inbox/d");
}

#[tokio::test]
async fn a_horizon_that_panics_ends_one_sweep_and_not_all() {
    let root = buckets();
    fs::write(root.path().join("inbox/a"), "x").unwrap();
    let asked = std::sync::atomic::AtomicU32::new(0);
    let since: Since = Arc::new(move |_| {
        assert!(
            asked.fetch_add(1, std::sync::atomic::Ordering::SeqCst) > 0,
            "this panic is part of the test"
        );
        0
    });
    let mut world = World::start(root, QUIET, since).await;
    world.sweep().await;
    assert_eq!(world.next_key().await, "inbox/a");
}

#[tokio::test]
async fn it_stops_though_nobody_takes_its_reports() {
    let root = buckets();
    for number in 0..2_000 {
        fs::write(root.path().join(format!("inbox/{number}")), "x").unwrap();
    }
    let store = FolderStore::open(root.path()).await.unwrap();
    let settings =
        Settings { quiet: Duration::from_millis(1), sweep: Duration::from_millis(5), since: Arc::new(|_| 0) };
    let mut intake = Intake::start(&store, settings);
    let held = intake.next().await.unwrap();
    tokio::time::timeout(PATIENCE, intake.stop()).await.unwrap();
    held.done();
}
