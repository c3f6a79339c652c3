//! Looking at and reading objects in folders.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use bytes::Bytes;
use futures_util::stream::{self, BoxStream, StreamExt};
use outport_core::{Fault, code};
use rustix::fs::{self, FileType, Mode, OFlags, Stat};
use rustix::io::Errno;

use super::beneath::{descend, is_absent, open_bucket};
use crate::blocking::blocking;
use crate::fault::store_fault;
use crate::intake::Signature;
use crate::key::Place;
use crate::object::{Expected, ObjectInfo, PIECE_BYTES};

/// Opens a regular file, or says that there is none. Never waits, not even where a pipe has taken the file's place.
pub(crate) fn open_file(root: &Path, place: &Place) -> Result<Option<(File, Stat)>, Fault> {
    let bucket = open_bucket(root, place.bucket())?;
    match open_in(bucket, place) {
        Ok(found) => Ok(found),
        Err(errno) if is_absent(errno) => Ok(None),
        Err(errno) => Err(store_fault("could not open", &path_of(root, place), errno)),
    }
}

fn open_in(bucket: std::os::fd::OwnedFd, place: &Place) -> Result<Option<(File, Stat)>, Errno> {
    let folder = descend(bucket, place.folders())?;
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let file = match fs::openat(&folder, place.name(), flags, Mode::empty()) {
        // A socket, or a device without a driver.
        Err(Errno::NXIO | Errno::NODEV) => return Ok(None),
        other => other?,
    };
    let stat = fs::fstat(&file)?;
    let regular = FileType::from_raw_mode(stat.st_mode).is_file();
    Ok(regular.then(|| (File::from(file), stat)))
}

/// The path of an object, for messages.
pub(crate) fn path_of(root: &Path, place: &Place) -> std::path::PathBuf {
    root.join(place.bucket()).join(place.key())
}

/// Size, tag and time of a file.
pub(crate) fn info_of(stat: &Stat) -> ObjectInfo {
    let signature = Signature::of(stat);
    ObjectInfo {
        size_bytes: signature.size_bytes,
        version: None,
        etag: Some(etag_of(&signature)),
        modified_at: signature.mtime_ns.div_euclid(1_000_000),
    }
}

/// The entity tag of a file: its modification time and size.
///
/// Not its inode and not its ctime: those change when the data folder is restored from a backup or moved with
/// `cp -a`, and every stored artifact would then count as changed. What this overlooks (an overwrite of the same
/// size within one tick of the clock, or with a forged time) the sha256 check of the upload finds.
pub(crate) fn etag_of(signature: &Signature) -> String {
    format!("{:x}-{:x}", signature.mtime_ns, signature.size_bytes)
}

/// Compares what is there with what was recorded.
pub(super) fn check_expected(info: &ObjectInfo, expected: &Expected, place: &Place) -> Result<(), Fault> {
    let differs = |want: &Option<String>, have: &Option<String>| want.is_some() && want != have;
    let (what, want, have) = if differs(&expected.version, &info.version) {
        ("version", &expected.version, &info.version)
    } else if differs(&expected.etag, &info.etag) {
        ("etag", &expected.etag, &info.etag)
    } else {
        return Ok(());
    };
    let text = |value: &Option<String>| value.clone().unwrap_or_else(|| "none".into());
    let message =
        format!("could not read {place}: its {what} is {}, recorded was {}", text(have), text(want));
    Err(Fault::new(&code::ARTIFACT_CHANGED, message))
}

/// A file's content, piece by piece, each read on a blocking thread.
pub(super) fn pieces(
    file: File,
    etag: Option<String>,
    root: &Path,
    place: &Place,
) -> BoxStream<'static, Piece> {
    let reading = Reading { file, etag, path: path_of(root, place) };
    stream::try_unfold(reading, |reading| blocking(move || reading.step())).boxed()
}

type Piece = Result<Bytes, Fault>;

struct Reading {
    file: File,
    etag: Option<String>,
    path: std::path::PathBuf,
}

impl Reading {
    fn step(mut self) -> Result<Option<(Bytes, Self)>, Fault> {
        let mut piece = Vec::with_capacity(PIECE_BYTES);
        let read = (&mut self.file).take(PIECE_BYTES as u64).read_to_end(&mut piece);
        read.map_err(|error| store_fault("could not read", &self.path, error))?;
        if piece.is_empty() {
            self.check_unchanged()?;
            return Ok(None);
        }
        Ok(Some((Bytes::from(piece), self)))
    }

    /// The open file keeps its bytes when another is renamed over it, but not when it is overwritten in place.
    fn check_unchanged(&self) -> Result<(), Fault> {
        let stat =
            fs::fstat(&self.file).map_err(|errno| store_fault("could not look at", &self.path, errno))?;
        if info_of(&stat).etag == self.etag {
            return Ok(());
        }
        let path = crate::fault::shown_path(&self.path);
        Err(Fault::new(
            &code::ARTIFACT_CHANGED,
            format!("could not read {path}: it was overwritten meanwhile"),
        ))
    }
}
