//! Which files were taken in already, so that a sweep does not report again what did not change.

use std::collections::HashMap;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use sha2::{Digest, Sha256};

use super::Signature;

/// 128 bits of a hash of path and signature stand for the pair: about 24 bytes a file instead of 200, and a false hit,
/// which would lose a file, has odds of 1 to 10^25 among a million files a day for ten years.
type Mark = [u8; 16];

/// The files that a consumer has acknowledged, for as long as sweeps see them.
#[derive(Debug, Default)]
pub(super) struct Memo {
    marks: HashMap<Mark, u64>,
    sweep: u64,
}

impl Memo {
    /// Notes a file as taken in.
    pub(super) fn insert(&mut self, path: &Path, signature: &Signature) {
        self.marks.insert(mark(path, signature), self.sweep);
    }

    /// Whether the file is noted; if so it is also noted as still there.
    pub(super) fn knows(&mut self, path: &Path, signature: &Signature) -> bool {
        match self.marks.get_mut(&mark(path, signature)) {
            Some(seen) => {
                *seen = self.sweep;
                true
            }
            None => false,
        }
    }

    /// A sweep begins.
    pub(super) fn sweep_started(&mut self) {
        self.sweep += 1;
    }

    /// A sweep has seen everything there is: what it did not see is forgotten, or the memo would only ever grow.
    pub(super) fn sweep_saw_all(&mut self) {
        self.marks.retain(|_, seen| *seen == self.sweep);
        self.marks.shrink_to(self.marks.len() * 2);
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.marks.len()
    }
}

fn mark(path: &Path, signature: &Signature) -> Mark {
    let mut hash = Sha256::new();
    for number in [signature.size_bytes, signature.inode] {
        hash.update(number.to_le_bytes());
    }
    for time in [signature.mtime_ns, signature.ctime_ns] {
        hash.update(time.to_le_bytes());
    }
    hash.update(path.as_os_str().as_bytes());
    let mut mark = Mark::default();
    mark.copy_from_slice(&hash.finalize()[..16]);
    mark
}

#[cfg(test)]
mod tests {
    use super::*;

    const SIGNATURE: Signature = Signature { size_bytes: 1, mtime_ns: 2, ctime_ns: 3, inode: 4 };

    #[test]
    fn any_difference_makes_another_file() {
        let mut memo = Memo::default();
        memo.insert(Path::new("/b/a"), &SIGNATURE);
        assert!(memo.knows(Path::new("/b/a"), &SIGNATURE));
        assert!(!memo.knows(Path::new("/b/b"), &SIGNATURE));
        for other in [
            Signature { size_bytes: 9, ..SIGNATURE },
            Signature { mtime_ns: 9, ..SIGNATURE },
            Signature { ctime_ns: 9, ..SIGNATURE },
            Signature { inode: 9, ..SIGNATURE },
            Signature { mtime_ns: 3, ctime_ns: 2, ..SIGNATURE },
        ] {
            assert!(!memo.knows(Path::new("/b/a"), &other), "{other:?}");
        }
    }

    #[test]
    fn what_a_whole_sweep_did_not_see_is_forgotten() {
        let mut memo = Memo::default();
        for name in ["stays", "goes"] {
            memo.insert(Path::new(name), &SIGNATURE);
        }
        memo.sweep_started();
        assert!(memo.knows(Path::new("stays"), &SIGNATURE));
        memo.insert(Path::new("new"), &SIGNATURE);
        memo.sweep_saw_all();
        assert_eq!(memo.len(), 2);
        assert!(!memo.knows(Path::new("goes"), &SIGNATURE));
        assert!(memo.knows(Path::new("new"), &SIGNATURE));
    }
}
