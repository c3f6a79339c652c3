//! A local file as the source of a push.

mod used;

use std::fs::{File, Metadata};
use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use async_trait::async_trait;
use bytes::Bytes;
use indicatif::ProgressBar;
use outport_core::{Fault, code};
use outport_send::Source;
use tokio::sync::mpsc;

use self::used::Used;
use super::io_fault;

/// What OpenSSH takes in one WRITE: a piece then goes out as it was read, in no further parts.
const PIECE_BYTES: usize = 261_120;
/// Pieces read ahead. The disk and the hash are faster than SSH; one piece more than that is enough.
const AHEAD: usize = 2;

/// Reads ahead on a thread of its own, so that neither the disk nor the copy out of the page cache holds up the wire.
pub(super) struct LocalFile {
    pieces: mpsc::Receiver<Result<Bytes, Fault>>,
    size_bytes: u64,
    modified_s: Option<i64>,
    bar: ProgressBar,
}

impl LocalFile {
    /// When it was modified, in seconds since 1970, where the file system tells.
    pub(super) fn modified_s(&self) -> Option<i64> {
        self.modified_s
    }

    pub(super) async fn open(path: &Path, bar: ProgressBar) -> Result<Self, Fault> {
        let path = path.to_owned();
        let opening = tokio::task::spawn_blocking(move || {
            let file = File::open(&path).map_err(|e| io_fault("open", &path, &e))?;
            let meta = file.metadata().map_err(|e| io_fault("read", &path, &e))?;
            let (size_bytes, modified_s) = (meta.len(), Some(meta.mtime()));
            let used = Used::default();
            let mut reading = Reading { path, file, used, version: version(&meta), read_bytes: 0 };
            // Most files are small: one that is a single piece needs no thread that waits for it to be taken.
            let first = reading.piece(size_bytes);
            Ok::<_, Fault>((reading, first, size_bytes, modified_s))
        });
        let (reading, first, size_bytes, modified_s) = opening.await.map_err(|panic| {
            Fault::new(&code::ENGINE_PANIC, format!("opening a file ended by a bug: {panic}"))
        })??;
        let (to, pieces) = mpsc::channel(AHEAD);
        let is_whole =
            matches!(&first, Ok(piece) if piece.len() as u64 == size_bytes && piece.len() < PIECE_BYTES);
        // A new channel has room.
        drop(to.try_send(first));
        if !is_whole {
            tokio::task::spawn_blocking(move || reading.rest(size_bytes, &to));
        }
        Ok(Self { pieces, size_bytes, modified_s, bar })
    }
}

struct Reading {
    path: PathBuf,
    file: File,
    used: Used,
    version: Version,
    read_bytes: u64,
}

/// Size and time of the last change of the content: half of one version and half of another is no file that anybody wrote.
type Version = (u64, i64, i64);

fn version(meta: &Metadata) -> Version {
    (meta.len(), meta.mtime(), meta.mtime_nsec())
}

impl Reading {
    /// The next piece; empty at the end. `size_bytes`: what the whole file has, so that a small one takes no large
    /// buffer. One byte more is asked for: a file that has grown must show that it has.
    fn piece(&mut self, size_bytes: u64) -> Result<Bytes, Fault> {
        let room = usize::try_from(size_bytes).unwrap_or(PIECE_BYTES).saturating_add(1).min(PIECE_BYTES);
        let mut bytes = self.used.take(room);
        let read = (&mut self.file).take(room as u64).read_to_end(&mut bytes);
        let read = read.map_err(|e| io_fault("read", &self.path, &e))?;
        self.read_bytes += read as u64;
        if read < room || self.read_bytes > size_bytes {
            self.is_unchanged()?;
        }
        Ok(self.used.piece(bytes))
    }

    /// Asked at the end, or behind where it was: nobody has written to the file since it was opened.
    fn is_unchanged(&self) -> Result<(), Fault> {
        let meta = self.file.metadata().map_err(|e| io_fault("read", &self.path, &e))?;
        if version(&meta) == self.version {
            return Ok(());
        }
        let message = format!("{} was changed while it was sent; nothing was renamed", self.path.display());
        Err(Fault::new(&code::IO_FAILED, message)
            .with_hint("send it again when nobody writes to it any more"))
    }

    fn rest(mut self, size_bytes: u64, to: &mpsc::Sender<Result<Bytes, Fault>>) {
        loop {
            let piece = self.piece(size_bytes);
            let is_last = piece.as_ref().map_or(true, Bytes::is_empty);
            // A push that has ended takes no more.
            if to.blocking_send(piece).is_err() || is_last {
                return;
            }
        }
    }
}

#[async_trait]
impl Source for LocalFile {
    async fn next(&mut self) -> Result<Option<Bytes>, Fault> {
        let Some(piece) = self.pieces.recv().await.transpose()? else { return Ok(None) };
        self.bar.inc(piece.len() as u64);
        Ok((!piece.is_empty()).then_some(piece))
    }

    fn size_bytes(&self) -> u64 {
        self.size_bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn any_size_is_read_whole() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        for size in [0, 1, PIECE_BYTES - 1, PIECE_BYTES, PIECE_BYTES + 1, 5 * PIECE_BYTES + 7] {
            let content: Vec<u8> = (0..size).map(|n| (n % 251) as u8).collect();
            std::fs::write(&path, &content).unwrap();
            let mut file = LocalFile::open(&path, ProgressBar::hidden()).await.unwrap();
            assert_eq!(file.size_bytes(), size as u64);
            let mut read = Vec::new();
            while let Some(piece) = file.next().await.unwrap() {
                read.extend_from_slice(&piece);
            }
            assert!(read == content, "{size} bytes");
        }
    }

    #[tokio::test]
    async fn a_file_that_is_changed_while_it_is_read_is_a_fault() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        let changes: [fn(&File); 3] = [
            |file| file.set_len(PIECE_BYTES as u64).unwrap(),
            |file| file.set_len(9 * PIECE_BYTES as u64).unwrap(),
            |file| file.set_modified(std::time::SystemTime::UNIX_EPOCH).unwrap(),
        ];
        for change in changes {
            std::fs::write(&path, vec![1; 8 * PIECE_BYTES]).unwrap();
            let mut source = LocalFile::open(&path, ProgressBar::hidden()).await.unwrap();
            change(&File::options().write(true).open(&path).unwrap());
            let fault = loop {
                match source.next().await {
                    Ok(Some(_)) => {}
                    Ok(None) => panic!("it ended as if nothing had happened"),
                    Err(fault) => break fault,
                }
            };
            assert_eq!(fault.code, &code::IO_FAILED, "{fault}");
        }
    }
}
