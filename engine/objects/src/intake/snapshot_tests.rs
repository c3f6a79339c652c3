use std::io::Write;
use std::os::unix::fs::{MetadataExt, symlink};
use std::path::Path;

use sha2::{Digest, Sha256};
use tempfile::TempDir;

use super::super::signature::{Look, look};
use super::*;
use crate::{Expected, Objects};

struct Folders {
    root: TempDir,
    buckets: FolderStore,
    artifacts: FolderStore,
}

impl Folders {
    async fn new() -> Self {
        let root = tempfile::tempdir().unwrap();
        for folder in ["buckets/inbox", "store/artifacts"] {
            std::fs::create_dir_all(root.path().join(folder)).unwrap();
        }
        let buckets = FolderStore::open(root.path().join("buckets")).await.unwrap();
        let artifacts = FolderStore::open(root.path().join("store")).await.unwrap();
        Self { root, buckets, artifacts }
    }

    fn file(&self) -> PathBuf {
        self.root.path().join("buckets/inbox/a")
    }

    fn kept(&self) -> Vec<PathBuf> {
        let folder = self.root.path().join("store/artifacts");
        std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect()
    }

    async fn snapshot(&self, signature: &Signature) -> Result<Snapshot, Fault> {
        snapshot(&self.buckets, ("inbox", "a"), signature, &self.artifacts, ("artifacts", "x")).await
    }

    /// A copy that has begun, with more than one step to go.
    fn begin(&self, content: &[u8]) -> Box<Copy> {
        std::fs::write(self.file(), content).unwrap();
        let source = self.source();
        let Ok(Opened::File(file)) = source.open() else { panic!("not opened") };
        let to = Place::new("artifacts", "x").unwrap();
        let part = Part::start(self.artifacts.root(), &to, Publish::IfAbsent).unwrap();
        let Ok(Step::More(copy)) = Copy::start(source, file, part).step() else { panic!("ended already") };
        copy
    }

    fn source(&self) -> Source {
        let place = Place::new("inbox", "a").unwrap();
        Source { root: self.buckets.root().into(), place, signature: signature(&self.file()) }
    }
}

fn signature(path: &Path) -> Signature {
    match look(path) {
        Look::File(signature) => signature,
        other => panic!("{other:?}"),
    }
}

const LARGE: usize = PIECES * PIECE_BYTES + 10;

#[tokio::test]
async fn a_quiet_file_is_taken_whole_with_its_hash_and_stands_alone() {
    let folders = Folders::new().await;
    for size in [0, 10, PIECE_BYTES, 2 * LARGE] {
        let content: Vec<u8> = (0..size).map(|n| (n % 253) as u8).collect();
        std::fs::write(folders.file(), &content).unwrap();
        let Snapshot::Taken(stored) = folders.snapshot(&signature(&folders.file())).await.unwrap() else {
            panic!("not taken")
        };
        let hex: String = Sha256::digest(&content).iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!((stored.size_bytes, stored.sha256), (size as u64, hex));
        // An overwrite in place must not reach the artifact.
        std::fs::File::options().write(true).open(folders.file()).unwrap().write_all(b"!").unwrap();
        assert_eq!(std::fs::read(&folders.kept()[0]).unwrap(), content);
        assert_eq!(folders.kept()[0].metadata().unwrap().nlink(), 1);
        assert_ne!(folders.kept()[0].metadata().unwrap().ino(), folders.file().metadata().unwrap().ino());
        let expected = Expected { version: None, etag: stored.etag };
        folders.artifacts.open("artifacts", "x", expected).await.unwrap();
        folders.artifacts.delete("artifacts", "x").await.unwrap();
    }
}

#[tokio::test]
async fn what_is_not_what_arrived_is_not_taken() {
    let folders = Folders::new().await;
    std::fs::write(folders.file(), "first").unwrap();
    let arrived = signature(&folders.file());
    std::fs::write(folders.file(), "second").unwrap();
    assert_eq!(folders.snapshot(&arrived).await.unwrap(), Snapshot::Changed);
    std::fs::remove_file(folders.file()).unwrap();
    assert_eq!(folders.snapshot(&arrived).await.unwrap(), Snapshot::Gone);
    symlink("/etc/hostname", folders.file()).unwrap();
    assert_eq!(folders.snapshot(&arrived).await.unwrap(), Snapshot::Gone);
    std::fs::remove_file(folders.file()).unwrap();
    std::fs::create_dir(folders.file()).unwrap();
    assert_eq!(folders.snapshot(&arrived).await.unwrap(), Snapshot::Gone);
    assert_eq!(folders.kept(), [""; 0].map(PathBuf::from));
}

#[tokio::test]
async fn what_changes_while_it_is_copied_is_not_taken() {
    let large = vec![7; 2 * LARGE];
    type Change = fn(&Path);
    let cases: [(&str, Change, Snapshot); 6] = [
        (
            "grown",
            |path| std::fs::File::options().append(true).open(path).unwrap().write_all(b"!").unwrap(),
            Snapshot::Changed,
        ),
        (
            "cut",
            |path| std::fs::File::options().write(true).open(path).unwrap().set_len(5).unwrap(),
            Snapshot::Changed,
        ),
        (
            "overwritten in place, its mtime put back",
            |path| {
                let mtime = path.metadata().unwrap().modified().unwrap();
                let mut file = std::fs::File::options().write(true).open(path).unwrap();
                file.write_all(b"!").unwrap();
                file.set_modified(mtime).unwrap();
            },
            Snapshot::Changed,
        ),
        (
            "replaced by rename",
            |path| {
                let other = path.with_extension("new");
                std::fs::write(&other, vec![7; 2 * LARGE]).unwrap();
                std::fs::rename(other, path).unwrap();
            },
            Snapshot::Changed,
        ),
        ("renamed away", |path| std::fs::rename(path, path.with_extension("old")).unwrap(), Snapshot::Gone),
        ("removed", |path| std::fs::remove_file(path).unwrap(), Snapshot::Gone),
    ];
    for (name, change, want) in cases {
        let folders = Folders::new().await;
        let mut copy = folders.begin(&large);
        change(&folders.file());
        let end = loop {
            match copy.step().unwrap() {
                Step::More(next) => copy = next,
                Step::Ended(end) => break end,
            }
        };
        assert_eq!(end, want, "{name}");
        assert!(folders.kept().is_empty(), "{name} left {:?}", folders.kept());
    }
}

#[tokio::test]
async fn a_file_that_grows_for_ever_is_given_up_at_once() {
    let folders = Folders::new().await;
    std::fs::write(folders.file(), vec![0; LARGE]).unwrap();
    let mut source = folders.source();
    source.signature.size_bytes = 1;
    let to = Place::new("artifacts", "x").unwrap();
    let part = Part::start(folders.artifacts.root(), &to, Publish::IfAbsent).unwrap();
    let copy = Copy::start(source, File::open(folders.file()).unwrap(), part);
    assert!(matches!(copy.step(), Ok(Step::Ended(Snapshot::Changed))));
}

#[tokio::test]
async fn two_snapshots_under_one_key_do_not_mix() {
    let folders = Folders::new().await;
    std::fs::write(folders.file(), "x").unwrap();
    let arrived = signature(&folders.file());
    assert!(matches!(folders.snapshot(&arrived).await, Ok(Snapshot::Taken(_))));
    assert_eq!(folders.snapshot(&arrived).await.unwrap_err().code, &code::OBJECT_EXISTS);
}

#[tokio::test]
async fn a_file_that_cannot_be_read_is_said_so() {
    // Reading a process's memory from address 0 is an I/O error, for root too. Held open, so that its times stay.
    let folders = Folders::new().await;
    let (proc, process) = (FolderStore::open("/proc").await.unwrap(), std::process::id().to_string());
    let path = Path::new("/proc").join(&process).join("mem");
    let _open = File::open(&path).unwrap();
    let taken =
        snapshot(&proc, (&process, "mem"), &signature(&path), &folders.artifacts, ("artifacts", "x")).await;
    let fault = taken.unwrap_err();
    assert_eq!(fault.code, &code::INTAKE_UNREADABLE);
    assert!(fault.message.contains("/mem: "), "{}", fault.message);
    assert!(folders.kept().is_empty());
}
