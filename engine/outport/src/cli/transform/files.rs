//! Files that appear whole or not at all.

use std::fs::Permissions;
use std::io::{self, BufWriter, ErrorKind, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use outport_core::Fault;
use outport_transform::Output;
use tempfile::NamedTempFile;

use super::draft::Draft;
use crate::cli::send::{io_fault, usage};

/// Where files were begun, under names that nobody looks for.
static UNFINISHED: Mutex<Vec<PathBuf>> = Mutex::new(Vec::new());

/// While somebody has this, nothing is begun, and nobody else finishes or removes what was.
pub(super) type Unfinished = MutexGuard<'static, Vec<PathBuf>>;

pub(super) fn unfinished() -> Unfinished {
    UNFINISHED.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Removes what was begun and has not got its name yet: the process ends.
pub(super) fn remove(unfinished: &Unfinished) {
    for path in unfinished.iter() {
        // One that was given up is not there; nobody is left to be told of another error.
        let _gone = std::fs::remove_file(path);
    }
}

/// Where a file is to be: nothing, or a file that it replaces.
pub(super) struct Place {
    path: PathBuf,
    /// Of the file that is replaced.
    permissions: Option<Permissions>,
}

impl Place {
    /// # Errors
    /// Something else than a file is there, which would be lost.
    pub(super) fn of(path: &Path) -> Result<Self, Fault> {
        match std::fs::metadata(path) {
            Ok(there) if there.is_file() => {
                // Where a link leads to: the link stays.
                let path = path.canonicalize().map_err(|e| io_fault("look at", path, &e))?;
                Ok(Self { path, permissions: Some(there.permissions()) })
            }
            Ok(_) => Err(usage(format!("{} is there and is no file to replace", path.display()))
                .with_hint("name a file; - as the output is standard output")),
            Err(error) if error.kind() == ErrorKind::NotFound && path.is_symlink() => {
                Err(usage(format!("{} is a link to a file that is not there", path.display()))
                    .with_hint("name the file itself, or remove the link"))
            }
            Err(error) if error.kind() == ErrorKind::NotFound => {
                Ok(Self { path: path.to_owned(), permissions: None })
            }
            Err(error) => Err(io_fault("look at", path, &error)),
        }
    }

    fn begin(&self) -> io::Result<NamedTempFile> {
        let folder = self.path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let mut unfinished = unfinished();
        let file = tempfile::Builder::new().prefix(".outport-").suffix(".part").tempfile_in(folder)?;
        unfinished.push(file.path().to_owned());
        Ok(file)
    }

    fn fault(&self, error: &io::Error) -> Fault {
        io_fault("write", &self.path, error)
    }
}

/// Whether both name one file, whether it is there or not.
pub(super) fn is_same(a: &Path, b: &Path) -> bool {
    let whole = |path: &Path| {
        path.canonicalize().or_else(|_| {
            let folder = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
            Ok::<_, io::Error>(folder.canonicalize()?.join(path.file_name().unwrap_or_default()))
        })
    };
    matches!((whole(a), whole(b)), (Ok(a), Ok(b)) if a == b)
}

/// A file that is written and on the disk, under a temporary name.
pub(super) struct Whole {
    place: Place,
    file: NamedTempFile,
}

impl Whole {
    /// Writes under a temporary name beside the place; a fault leaves nothing behind.
    pub(super) fn write<T>(
        place: Place,
        write: impl FnOnce(&mut dyn Output) -> Result<T, Fault>,
    ) -> Result<(Self, T), Fault> {
        let folder = place.path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let file = place.begin().map_err(|e| io_fault("write into", folder, &e))?;
        let (file, temp) = file.into_parts();
        let mut draft = Draft::new(file);
        let result = write(&mut draft)?;
        let file = draft.finish().map_err(|e| place.fault(&e))?;
        Ok((Self { place, file: NamedTempFile::from_parts(file, temp) }, result))
    }

    /// Gives it its name. It keeps the permissions of the file that it replaces.
    pub(super) fn put_in_place(self) -> Result<(), Fault> {
        let Self { place, file } = self;
        let permissions = place.permissions.clone().unwrap_or_else(of_a_new_file);
        let told = |e: &io::Error| io_fault("set the permissions of", &place.path, e);
        file.as_file().set_permissions(permissions).map_err(|e| told(&e))?;
        file.persist(&place.path).map_err(|e| place.fault(&e.error))?;
        Ok(())
    }
}

/// A temporary file is private; the result gets what any new file would get.
fn of_a_new_file() -> Permissions {
    // Setting the mask is the only way to read it; nothing else makes files at this moment.
    let mask = rustix::process::umask(rustix::fs::Mode::empty());
    rustix::process::umask(mask);
    Permissions::from_mode(0o666 & !mask.bits())
}

/// The file of rejected records: made with the first of them, visible when all of them are there.
pub(super) struct Rejects {
    place: Option<Place>,
    file: Option<BufWriter<NamedTempFile>>,
}

impl Rejects {
    pub(super) fn new(place: Option<Place>) -> Self {
        Self { place, file: None }
    }

    /// The file's path, if there were any. If there were none, those of an earlier run go: beside this output they would be wrong.
    pub(super) fn finish(self) -> Result<Option<PathBuf>, Fault> {
        let Some(place) = self.place else { return Ok(None) };
        let Some(file) = self.file else {
            return match std::fs::remove_file(&place.path) {
                Err(error) if error.kind() != ErrorKind::NotFound => {
                    Err(io_fault("remove the old rejects", &place.path, &error))
                }
                _ => Ok(None),
            };
        };
        let file = file.into_inner().map_err(|e| place.fault(e.error()))?;
        file.as_file().sync_all().map_err(|e| place.fault(&e))?;
        // Private, as a temporary file is: bad records are data.
        file.persist(&place.path).map_err(|e| place.fault(&e.error))?;
        Ok(Some(place.path))
    }
}

impl Write for Rejects {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let Some(place) = &self.place else { return Ok(bytes.len()) };
        if bytes.is_empty() {
            return Ok(0);
        }
        match &mut self.file {
            Some(file) => file.write(bytes),
            none => none.insert(BufWriter::new(place.begin()?)).write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.as_mut().map_or(Ok(()), BufWriter::flush)
    }
}

impl Output for Rejects {
    fn can_start_over(&self) -> bool {
        true
    }

    fn start_over(&mut self) -> io::Result<()> {
        self.file = None;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files(folder: &Path) -> Vec<String> {
        let mut names: Vec<String> = std::fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    fn write(path: &Path, text: &str) -> Result<(), Fault> {
        let put =
            |out: &mut dyn Output| out.write_all(text.as_bytes()).map_err(|e| io_fault("write", path, &e));
        Whole::write(Place::of(path)?, put)?.0.put_in_place()
    }

    #[test]
    fn what_is_replaced_keeps_its_permissions_and_links_stay() {
        let folder = tempfile::tempdir().unwrap();
        let (file, link) = (folder.path().join("a"), folder.path().join("b"));
        std::fs::write(&file, "old").unwrap();
        std::fs::set_permissions(&file, Permissions::from_mode(0o600)).unwrap();
        std::os::unix::fs::symlink("a", &link).unwrap();
        write(&link, "new").unwrap();
        assert_eq!(std::fs::read(&file).unwrap(), b"new");
        assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
        assert!(std::fs::symlink_metadata(&link).unwrap().is_symlink());
        assert_eq!(files(folder.path()), ["a", "b"]);
    }

    #[test]
    fn what_is_no_file_is_not_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let socket = folder.path().join("socket");
        let _listening = std::os::unix::net::UnixListener::bind(&socket).unwrap();
        let nowhere = folder.path().join("nowhere");
        std::os::unix::fs::symlink("none", &nowhere).unwrap();
        for path in [folder.path(), &socket, &nowhere, Path::new("/dev/null")] {
            let fault = write(path, "x").unwrap_err();
            assert_eq!(fault.code.name, "usage.invalid", "{fault}");
        }
        assert_eq!(files(folder.path()), ["nowhere", "socket"]);
    }

    #[test]
    fn a_fault_leaves_what_was_there() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("a");
        std::fs::write(&file, "old").unwrap();
        let broken = |out: &mut dyn Output| {
            out.write_all(b"half").map_err(|e| io_fault("write", &file, &e))?;
            Err::<(), _>(usage("no"))
        };
        assert!(Whole::write(Place::of(&file).unwrap(), broken).is_err());
        assert_eq!(
            (std::fs::read(&file).unwrap(), files(folder.path())),
            (b"old".to_vec(), vec!["a".into()])
        );
    }

    #[test]
    fn rejects_are_those_of_the_last_run() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("r");
        let mut rejects = Rejects::new(Some(Place::of(&file).unwrap()));
        rejects.write_all(b"first\n").unwrap();
        rejects.start_over().unwrap();
        rejects.write_all(b"again\n").unwrap();
        assert!(!file.exists(), "not before all are there");
        assert_eq!(rejects.finish().unwrap().as_deref(), Some(file.canonicalize().unwrap().as_path()));
        assert_eq!(std::fs::read(&file).unwrap(), b"again\n");
        assert_eq!(Rejects::new(Some(Place::of(&file).unwrap())).finish().unwrap(), None);
        assert!(files(folder.path()).is_empty());
    }

    #[test]
    fn one_file_has_many_names() {
        let folder = tempfile::tempdir().unwrap();
        let (here, there) = (folder.path().join("a"), folder.path().join("./a"));
        assert!(is_same(&here, &there), "though it is not there");
        std::fs::write(&here, "").unwrap();
        std::os::unix::fs::symlink("a", folder.path().join("b")).unwrap();
        assert!(is_same(&here, &folder.path().join("b")));
        assert!(!is_same(&here, &folder.path().join("c")));
    }
}
