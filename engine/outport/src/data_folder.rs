//! The data folder of an embedded Outport, and its lock: one `up` at a time.

use std::fs::{File, TryLockError};
use std::path::Path;

use outport_core::{Fault, code};

/// Held while `up` runs. The kernel frees it when the process ends, however it ends.
#[derive(Debug)]
#[allow(dead_code, reason = "held, never looked at")]
pub struct FolderLock(File, Option<File>);

/// Makes the data folder and takes its lock, and the one of the database file, which may lie elsewhere.
///
/// # Errors
/// `database.locked` when another process has one of them.
pub fn lock(data: &Path, database: &Path) -> Result<FolderLock, Fault> {
    let beside = database.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    for folder in [data, beside] {
        std::fs::create_dir_all(folder).map_err(|e| failed(folder, &e))?;
        refuse_network_file_system(folder)?;
    }
    let (of_folder, of_file) = (data.join("outport.lock"), database.with_extension("lock"));
    let folder = take(&of_folder, &format!("works on the data folder {}", data.display()))?;
    // In the usual place both are one file, which is locked by now.
    let file = if same_file(&of_folder, &of_file) {
        None
    } else {
        Some(take(&of_file, &format!("works on the database {}", database.display()))?)
    };
    Ok(FolderLock(folder, file))
}

fn same_file(a: &Path, b: &Path) -> bool {
    matches!((a.canonicalize(), b.canonicalize()), (Ok(a), Ok(b)) if a == b)
}

fn failed(path: &Path, error: &std::io::Error) -> Fault {
    Fault::new(&code::IO_FAILED, format!("could not lock {}: {error}", path.display()))
}

fn take(path: &Path, what: &str) -> Result<File, Fault> {
    let file =
        File::options().create(true).truncate(false).write(true).open(path).map_err(|e| failed(path, &e))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => {
            Err(Fault::new(&code::DATABASE_LOCKED, format!("could not start: another `outport up` {what}")))
        }
        Err(TryLockError::Error(error)) => Err(failed(path, &error)),
    }
}

/// SQLite's write-ahead log and our lock need a local file system.
fn refuse_network_file_system(data: &Path) -> Result<(), Fault> {
    // From statfs(2): NFS, SMB, CIFS, SMB2.
    const NETWORK: [u64; 4] = [0x6969, 0x517b, 0xff53_4d42, 0xfe53_4d42];
    let stat = rustix::fs::statfs(data).map_err(|error| {
        Fault::new(&code::IO_FAILED, format!("could not look at the data folder {}: {error}", data.display()))
    })?;
    let kind = (stat.f_type as u64) & 0xffff_ffff;
    if NETWORK.contains(&kind) {
        return Err(Fault::new(
            &code::CONFIG_INVALID,
            format!("the data folder {} is on a network file system", data.display()),
        )
        .with_hint("use a local folder with --data, or a PostgreSQL database"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_second_lock_is_refused_with_a_hint() {
        let dir = tempfile::tempdir().unwrap();
        let database = dir.path().join("outport.db");
        let first = lock(dir.path(), &database).unwrap();
        let fault = lock(dir.path(), &database).unwrap_err();
        assert_eq!(fault.code, &code::DATABASE_LOCKED);
        assert!(fault.report().contains("hint: stop the other process"));
        drop(first);
        lock(dir.path(), &database).unwrap();
    }

    #[test]
    fn a_database_elsewhere_is_locked_too() {
        let (one, two, db) = (tempfile::tempdir(), tempfile::tempdir(), tempfile::tempdir());
        let (one, two, db) = (one.unwrap(), two.unwrap(), db.unwrap());
        let database = db.path().join("shared.db");
        let _first = lock(one.path(), &database).unwrap();
        assert_eq!(lock(two.path(), &database).unwrap_err().code, &code::DATABASE_LOCKED);
    }
}
