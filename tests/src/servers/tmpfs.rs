//! A disk so small that a test can fill it.

use std::ffi::CString;
use std::path::Path;

use anyhow::Context;
use rustix::io::Errno;
use rustix::mount::{MountFlags, UnmountFlags, mount, unmount};
use tempfile::TempDir;

use super::open_folder;
use crate::set::Skip;

/// A mounted tmpfs, unmounted when dropped. Every user may write to it.
#[derive(Debug)]
pub struct SmallDisk {
    folder: TempDir,
}

impl SmallDisk {
    /// Mounts one that holds `size_bytes`, rounded up to whole pages (4 KiB).
    ///
    /// # Errors
    /// [`Skip`] where mounting is not allowed: without root, and in most containers. Anything else is a failure.
    pub fn mount(size_bytes: u64) -> anyhow::Result<Self> {
        if !rustix::process::geteuid().is_root() {
            return Err(Skip::because("needs root: mounting a small disk"));
        }
        let folder = open_folder(&std::env::temp_dir())?;
        let options = CString::new(format!("size={size_bytes},mode=1777"))?;
        match mount(
            "tmpfs",
            folder.path(),
            "tmpfs",
            MountFlags::NODEV | MountFlags::NOSUID,
            options.as_c_str(),
        ) {
            Ok(()) => Ok(Self { folder }),
            Err(Errno::PERM | Errno::ACCESS | Errno::NOSYS) => {
                Err(Skip::because("this machine does not let even root mount a tmpfs (a container?)"))
            }
            Err(fault) => {
                Err(fault).with_context(|| format!("could not mount a tmpfs on {}", folder.path().display()))
            }
        }
    }

    /// Where it is mounted.
    pub fn path(&self) -> &Path {
        self.folder.path()
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // Detached: it goes at once from the tree, also when the test still has a file open on it.
        if let Err(fault) = unmount(self.folder.path(), UnmountFlags::DETACH) {
            eprintln!("could not unmount {}: {fault}", self.folder.path().display());
        }
    }
}
