use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use futures_util::TryStreamExt;
use tempfile::TempDir;

use super::*;
use crate::conformance;

async fn store() -> (TempDir, FolderStore) {
    let root = tempfile::tempdir().unwrap();
    let store = FolderStore::open(root.path()).await.unwrap();
    store.make_bucket("b").await.unwrap();
    (root, store)
}

async fn put(writer: Result<Box<dyn ObjectWriter>, Fault>, content: &'static str) -> Result<(), Fault> {
    let mut writer = writer?;
    writer.write(content.into()).await?;
    writer.finish().await.map(drop)
}

fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

fn now() -> Millis {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis() as Millis
}

#[tokio::test]
async fn conforms() {
    let (root, store) = store().await;
    conformance::all(&store, "b", "nosuch").await;
    assert!(
        names(root.path()).iter().all(|name| name == "b"),
        "nothing may be written outside of the bucket"
    );
}

#[tokio::test]
async fn a_dropped_or_failed_writer_leaves_no_temp_file() {
    let (root, store) = store().await;
    let folder = root.path().join("b");
    let mut writer = store.create("b", "k").await.unwrap();
    writer.write("x".into()).await.unwrap();
    assert_eq!(names(&folder).len(), 1);
    assert!(names(&folder)[0].starts_with(".outport-") && names(&folder)[0].ends_with(".part"));
    drop(writer);
    assert_eq!(names(&folder), [""; 0]);

    // The future of a write is dropped before it has ended; the blocking thread removes the file when it is done.
    let mut writer = store.create("b", "k").await.unwrap();
    {
        // 64 MiB take the thread about a tenth of a second: still under way at the first look, unlike 1 MiB.
        let write = writer.write(Bytes::from(vec![0; 64 << 20]));
        tokio::pin!(write);
        assert!(futures_util::poll!(write.as_mut()).is_pending());
    }
    assert!(writer.write("more".into()).await.is_err(), "a writer with a hole must not go on");
    assert!(writer.finish().await.is_err());
    let gone = async {
        while !names(&folder).is_empty() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), gone).await.unwrap();
}

#[tokio::test]
async fn links_are_not_followed() {
    let (root, store) = store().await;
    let secret = root.path().join("secret");
    std::fs::create_dir(&secret).unwrap();
    std::fs::write(secret.join("shadow"), "hash").unwrap();
    let bucket = root.path().join("b");
    symlink(&secret, bucket.join("folder")).unwrap();
    symlink(secret.join("shadow"), bucket.join("file")).unwrap();
    symlink(&secret, root.path().join("linked")).unwrap();
    for key in ["file", "folder/shadow"] {
        assert_eq!(store.head("b", key).await.unwrap(), None, "{key}");
        assert_eq!(
            store.open("b", key, Expected::any()).await.unwrap_err().code,
            &code::ARTIFACT_MISSING,
            "{key}"
        );
        store.delete("b", key).await.unwrap();
    }
    let listed: Vec<Listed> = store.list("b", "").try_collect().await.unwrap();
    assert_eq!(listed, []);
    assert_eq!(
        put(store.create("b", "folder/new").await, "x").await.unwrap_err().code,
        &code::INTAKE_BAD_KEY
    );
    assert_eq!(
        put(store.replace("b", "folder/new").await, "x").await.unwrap_err().code,
        &code::INTAKE_BAD_KEY
    );
    assert_eq!(put(store.create("b", "file").await, "x").await.unwrap_err().code, &code::OBJECT_EXISTS);
    assert_eq!(store.head("linked", "shadow").await.unwrap_err().code, &code::INTAKE_BUCKET_MISSING);
    assert_eq!(names(&secret), ["shadow"]);
    assert_eq!(std::fs::read(secret.join("shadow")).unwrap(), b"hash");
    // Replacing takes the link's place and leaves alone what it points at.
    put(store.replace("b", "file").await, "new").await.unwrap();
    assert_eq!(std::fs::read(secret.join("shadow")).unwrap(), b"hash");
    assert!(bucket.join("file").symlink_metadata().unwrap().is_file());
}

#[tokio::test]
async fn a_pipe_in_place_of_a_file_stops_nobody() {
    let (root, store) = store().await;
    let mode = fs::Mode::from_raw_mode(0o600);
    fs::mknodat(fs::CWD, root.path().join("b/pipe"), fs::FileType::Fifo, mode, 0).unwrap();
    let opened = tokio::time::timeout(Duration::from_secs(10), store.open("b", "pipe", Expected::any()))
        .await
        .unwrap();
    assert_eq!(opened.unwrap_err().code, &code::ARTIFACT_MISSING);
}

#[tokio::test]
async fn an_object_that_changes_while_it_is_read_is_not_read_to_the_end() {
    let (root, store) = store().await;
    let path = root.path().join("b/k");
    let long = "x".repeat(3 * crate::PIECE_BYTES);
    type Change = fn(&Path);
    let in_place: Change = |path| std::fs::write(path, "y".repeat(3 * crate::PIECE_BYTES)).unwrap();
    let shorter: Change = |path| std::fs::File::options().write(true).open(path).unwrap().set_len(9).unwrap();
    let longer: Change = |path| {
        use std::io::Write;
        std::fs::File::options().append(true).open(path).unwrap().write_all(b"more").unwrap();
    };
    for change in [in_place, shorter, longer] {
        std::fs::write(&path, &long).unwrap();
        // An hour ago, so that the kernel's clock cannot tick too late to show the change.
        let then = SystemTime::now() - Duration::from_secs(3600);
        std::fs::File::options().write(true).open(&path).unwrap().set_modified(then).unwrap();
        let mut reader = store.open("b", "k", Expected::any()).await.unwrap();
        reader.next().await.unwrap().unwrap();
        change(&path);
        let fault = loop {
            match reader.next().await {
                Ok(Some(_)) => {}
                Ok(None) => panic!("a changed file was read as if it were whole"),
                Err(fault) => break fault,
            }
        };
        assert_eq!(fault.code, &code::ARTIFACT_CHANGED);
    }
    // Renamed over, the old one is read to its end.
    std::fs::write(&path, &long).unwrap();
    let mut reader = store.open("b", "k", Expected::any()).await.unwrap();
    put(store.replace("b", "k").await, "new").await.unwrap();
    while reader.next().await.unwrap().is_some() {}
}

#[tokio::test]
async fn artifacts_are_private_and_uploads_are_not() {
    let (root, store) = store().await;
    put(store.create("b", "private/a").await, "x").await.unwrap();
    put(store.replace("b", "public/a").await, "x").await.unwrap();
    let mode = |path: &str| root.path().join(path).metadata().unwrap().permissions().mode() & 0o777;
    assert_eq!((mode("b/private"), mode("b/private/a")), (0o700, 0o600));
    assert_eq!(mode("b/public/a"), mode("b/public") & 0o666, "as the umask says");
}

#[tokio::test]
async fn left_over_temp_files_go_and_those_of_living_writers_stay() {
    let (root, store) = store().await;
    let folder = root.path().join("b/deep/er");
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join(".outport-1-1.part"), "dead").unwrap();
    std::fs::write(folder.join("x.part"), "not ours").unwrap();
    symlink(root.path().join("b"), folder.join("loop")).unwrap();
    let mut writer = store.create("b", "deep/er/slow").await.unwrap();
    writer.write("x".into()).await.unwrap();

    assert_eq!(store.clear_leftovers(now()).await.unwrap(), 0, "younger than an hour");
    let later = now() + leftovers::LEFT_AFTER_MS + 60_000;
    // A second store stands for another process: the lock belongs to the open file, not to the process.
    let other = FolderStore::open(root.path()).await.unwrap();
    assert_eq!(other.clear_leftovers(later).await.unwrap(), 1);
    assert_eq!(other.clear_leftovers(later).await.unwrap(), 0);
    writer.finish().await.unwrap();
    assert_eq!(names(&folder), ["loop", "slow", "x.part"]);
}

#[tokio::test]
async fn a_root_or_bucket_that_is_not_there_is_said_so() {
    let (root, store) = store().await;
    let fault = FolderStore::open(root.path().join("nosuch")).await.unwrap_err();
    assert_eq!(fault.code, &code::OBJECT_STORE_FAILED);
    assert!(fault.message.contains("nosuch"), "{}", fault.message);
    std::fs::write(root.path().join("file"), "").unwrap();
    assert_eq!(store.make_bucket("file").await.unwrap_err().code, &code::INTAKE_BUCKET_MISSING);
    assert_eq!(store.create("file", "a").await.err().unwrap().code, &code::INTAKE_BUCKET_MISSING);
    store.make_bucket("b").await.unwrap();
}

/// A 1 MiB file system, where root may mount one.
struct SmallDisk(TempDir);

impl SmallDisk {
    fn mount() -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let mounted = std::process::Command::new("mount")
            .args(["-t", "tmpfs", "-o", "size=1m", "outport-test"])
            .arg(folder.path())
            .status();
        mounted.is_ok_and(|status| status.success()).then(|| Self(folder))
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let status = std::process::Command::new("umount").arg(self.0.path()).status();
        assert!(status.is_ok_and(|status| status.success()), "could not unmount {}", self.0.path().display());
    }
}

#[tokio::test]
async fn a_full_disk_is_said_so_and_leaves_nothing_behind() {
    let Some(disk) = SmallDisk::mount() else {
        eprintln!("SKIPPED a_full_disk_is_said_so_and_leaves_nothing_behind: mounting a tmpfs needs root");
        return;
    };
    let store = FolderStore::open(disk.0.path()).await.unwrap();
    store.make_bucket("b").await.unwrap();
    let mut writer = store.create("b", "big").await.unwrap();
    let fault = loop {
        if let Err(fault) = writer.write(Bytes::from(vec![1; 64 * 1024])).await {
            break fault;
        }
    };
    assert_eq!(fault.code, &code::OBJECT_STORE_FULL);
    assert!(fault.message.contains("b/big"), "{}", fault.message);
    assert!(writer.finish().await.is_err());
    assert_eq!(names(&disk.0.path().join("b")), [""; 0]);
    put(store.create("b", "small").await, "fits again").await.unwrap();

    // The same for a snapshot onto the full disk, and the source stays what it was.
    let (from_root, from) = self::store().await;
    let source = from_root.path().join("b/source");
    std::fs::write(&source, vec![2; 2 << 20]).unwrap();
    let crate::intake::Look::File(signature) = crate::intake::look(&source) else { panic!("no file") };
    let taken = crate::intake::snapshot(&from, ("b", "source"), &signature, &store, ("b", "copy")).await;
    assert_eq!(taken.unwrap_err().code, &code::OBJECT_STORE_FULL);
    assert_eq!(names(&disk.0.path().join("b")), ["small"]);
    assert_eq!(source.metadata().unwrap().size(), 2 << 20);
}
