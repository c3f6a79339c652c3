//! A look at the partner's folder, many times a second: is anything there that should not be?

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use sha2::{Digest, Sha256};

/// Often enough to see an upload of a megabyte grow, seldom enough to leave the processor to it.
const LOOK_EVERY: Duration = Duration::from_millis(3);

/// Whether a remote name is that of an upload under way: `.NAME.ID.ATTEMPT.part`.
pub fn is_temp_name(name: &str) -> bool {
    name.starts_with('.') && name.ends_with(".part")
}

/// What is to stand under a final name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Whole {
    size_bytes: u64,
    sha256: Sum,
    older_bytes: Option<u64>,
}

type Sum = [u8; 32];

impl Whole {
    /// These bytes.
    pub fn new(content: &[u8]) -> Self {
        Self::sized(content.len() as u64, Sha256::digest(content).into())
    }

    /// Bytes of that number and hash.
    pub fn sized(size_bytes: u64, sha256: [u8; 32]) -> Self {
        Self { size_bytes, sha256, older_bytes: None }
    }

    /// Before that, an older file of so many bytes may stand there, until it is replaced.
    #[must_use]
    pub fn after(mut self, older_bytes: u64) -> Self {
        self.older_bytes = Some(older_bytes);
        self
    }
}

/// The hash of a file, however large it is.
fn sum_of(path: &Path) -> anyhow::Result<Sum> {
    let mut file = File::open(path)?;
    let mut hasher = Sha256::new();
    let mut piece = vec![0; 1024 * 1024];
    loop {
        match file.read(&mut piece)? {
            0 => return Ok(hasher.finalize().into()),
            read => hasher.update(&piece[..read]),
        }
    }
}

/// Watches that no name but a temporary one ever has other content than it is to have.
#[derive(Debug)]
pub struct FolderWatch {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug)]
struct Shared {
    folder: PathBuf,
    expected: BTreeMap<String, Whole>,
    stop: AtomicBool,
    looks: AtomicU64,
    problem: Mutex<Option<String>>,
}

impl FolderWatch {
    /// Begins to watch `folder`. `expected`: each final name that may come up, with its content.
    pub fn start<'a>(folder: &Path, expected: impl IntoIterator<Item = (&'a str, &'a [u8])>) -> Self {
        Self::of(folder, expected.into_iter().map(|(name, content)| (name, Whole::new(content))))
    }

    /// The same for files that replace older ones, or are too large to be kept here.
    pub fn of<'a>(folder: &Path, expected: impl IntoIterator<Item = (&'a str, Whole)>) -> Self {
        let expected = expected.into_iter().map(|(name, whole)| (name.to_owned(), whole));
        let shared = Arc::new(Shared {
            folder: folder.to_owned(),
            expected: expected.collect(),
            stop: AtomicBool::new(false),
            looks: AtomicU64::new(0),
            problem: Mutex::new(None),
        });
        let watched = shared.clone();
        let thread = std::thread::spawn(move || {
            loop {
                if let Err(problem) = watched.look(false) {
                    watched.note(&problem);
                }
                watched.looks.fetch_add(1, Ordering::Relaxed);
                if watched.stop.load(Ordering::Relaxed) {
                    return;
                }
                std::thread::sleep(LOOK_EVERY);
            }
        });
        Self { shared, thread: Some(thread) }
    }

    /// Ends watching, and compares the folder with what is expected: every file, whole, and nothing else.
    ///
    /// # Errors
    /// The first thing that was not as it should be, at any look.
    pub fn finish(mut self) -> anyhow::Result<()> {
        self.end();
        let problem = self.shared.problem.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(problem) = problem {
            bail!("seen while it went on: {problem}");
        }
        let found = self.shared.look(true)?;
        ensure!(
            found.len() == self.shared.expected.len(),
            "there should be {:?}, there is {found:?}",
            self.shared.expected.keys()
        );
        Ok(())
    }

    /// Ends watching, and leaves open whether the files have come.
    ///
    /// # Errors
    /// The first thing that was not as it should be, at any look: a file that was not whole under its final name.
    pub fn finish_early(mut self) -> anyhow::Result<()> {
        self.end();
        match self.shared.problem.lock().unwrap_or_else(PoisonError::into_inner).take() {
            Some(problem) => bail!("seen while it went on: {problem}"),
            None => Ok(()),
        }
    }

    fn end(&mut self) {
        self.shared.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            self.shared.note(&anyhow::anyhow!("the watching thread panicked"));
        }
    }
}

impl Drop for FolderWatch {
    fn drop(&mut self) {
        self.end();
    }
}

impl Shared {
    /// `whole`: compares contents, and takes no temporary names. Else only lengths: a look must not take long.
    fn look(&self, whole: bool) -> anyhow::Result<Vec<String>> {
        let mut found = Vec::new();
        let entries = std::fs::read_dir(&self.folder)
            .with_context(|| format!("could not list {}", self.folder.display()))?;
        for entry in entries {
            let entry = entry.context("could not list the folder")?;
            let name = entry.file_name().to_string_lossy().into_owned();
            if is_temp_name(&name) && !whole {
                continue;
            }
            let Some(expected) = self.expected.get(&name) else { bail!("{name:?} should not be there") };
            let size_bytes = match entry.metadata() {
                Ok(meta) => meta.len(),
                // Taken away since it was listed: between two looks a name may come and go.
                Err(fault) if fault.kind() == std::io::ErrorKind::NotFound && !whole => continue,
                Err(fault) => return Err(fault).with_context(|| format!("could not look at {name:?}")),
            };
            ensure!(
                size_bytes == expected.size_bytes || (!whole && expected.older_bytes == Some(size_bytes)),
                "{name:?} has {size_bytes} bytes of {}",
                expected.size_bytes
            );
            if whole {
                let sum = sum_of(&entry.path()).with_context(|| format!("could not read {name:?}"))?;
                ensure!(sum == expected.sha256, "{name:?} has other content than it should");
            }
            found.push(name);
        }
        Ok(found)
    }

    fn note(&self, problem: &anyhow::Error) {
        let mut first = self.problem.lock().unwrap_or_else(PoisonError::into_inner);
        first.get_or_insert_with(|| format!("{problem:#}"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn watch(folder: &Path) -> FolderWatch {
        FolderWatch::start(folder, [("a", b"content".as_slice())])
    }

    fn look_once_more(watch: &FolderWatch) {
        let seen = watch.shared.looks.load(Ordering::Relaxed);
        while watch.shared.looks.load(Ordering::Relaxed) < seen + 2 {
            std::thread::yield_now();
        }
    }

    #[test]
    fn a_whole_file_that_was_uploaded_under_a_temporary_name_is_good() {
        let folder = tempfile::tempdir().unwrap();
        let watch = watch(folder.path());
        let temp = folder.path().join(".a.x.1.part");
        std::fs::write(&temp, "con").unwrap();
        look_once_more(&watch);
        std::fs::write(&temp, "content").unwrap();
        std::fs::rename(temp, folder.path().join("a")).unwrap();
        watch.finish().unwrap();
    }

    #[test]
    fn half_a_file_is_seen_although_it_is_whole_in_the_end() {
        let folder = tempfile::tempdir().unwrap();
        let watch = watch(folder.path());
        std::fs::write(folder.path().join("a"), "con").unwrap();
        look_once_more(&watch);
        std::fs::write(folder.path().join("a"), "content").unwrap();
        let problem = watch.finish().unwrap_err().to_string();
        // Three, or none if it looked while the second write began.
        assert!(problem.contains("bytes of 7"), "{problem}");
    }

    #[test]
    fn an_older_file_may_stand_there_until_it_is_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let watch = || FolderWatch::of(folder.path(), [("a", Whole::new(b"content").after(3))]);
        std::fs::write(folder.path().join("a"), "old").unwrap();
        let good = watch();
        look_once_more(&good);
        assert!(watch().finish().is_err(), "the old one is not what was sent");
        let temp = folder.path().join(".a.x.1.part");
        std::fs::write(&temp, "content").unwrap();
        std::fs::rename(temp, folder.path().join("a")).unwrap();
        good.finish().unwrap();

        let bad = watch();
        std::fs::write(folder.path().join("a"), "half").unwrap();
        look_once_more(&bad);
        assert!(bad.finish_early().is_err());
    }

    #[test]
    fn a_missing_file_a_wrong_one_and_a_left_over_temporary_one_are_seen_in_the_end() {
        let folder = tempfile::tempdir().unwrap();
        assert!(watch(folder.path()).finish().is_err());
        std::fs::write(folder.path().join("a"), "CONTENT").unwrap();
        assert!(watch(folder.path()).finish().is_err());
        std::fs::write(folder.path().join("a"), "content").unwrap();
        watch(folder.path()).finish().unwrap();
        std::fs::write(folder.path().join(".a.x.1.part"), "con").unwrap();
        assert!(watch(folder.path()).finish().is_err());
    }
}
