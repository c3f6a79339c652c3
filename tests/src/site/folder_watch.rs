//! A look at the partner's folder, many times a second: is anything there that should not be?

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::{Context, bail, ensure};

/// Often enough to see an upload of a megabyte grow, seldom enough to leave the processor to it.
const LOOK_EVERY: Duration = Duration::from_millis(3);

/// Whether a remote name is that of an upload under way: `.NAME.ID.ATTEMPT.part`.
pub fn is_temp_name(name: &str) -> bool {
    name.starts_with('.') && name.ends_with(".part")
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
    expected: BTreeMap<String, Vec<u8>>,
    stop: AtomicBool,
    looks: AtomicU64,
    problem: Mutex<Option<String>>,
}

impl FolderWatch {
    /// Begins to watch `folder`. `expected`: each final name that may come up, with its content.
    pub fn start<'a>(folder: &Path, expected: impl IntoIterator<Item = (&'a str, &'a [u8])>) -> Self {
        let expected = expected.into_iter().map(|(name, content)| (name.to_owned(), content.to_vec()));
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
            let meta = entry.metadata().with_context(|| format!("could not look at {name:?}"))?;
            ensure!(
                meta.len() == expected.len() as u64,
                "{name:?} has {} bytes of {}",
                meta.len(),
                expected.len()
            );
            if whole {
                let content =
                    std::fs::read(entry.path()).with_context(|| format!("could not read {name:?}"))?;
                ensure!(content == *expected, "{name:?} has other content than it should");
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
