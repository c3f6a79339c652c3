//! Paths of clients, kept inside one folder.

use std::ffi::OsStr;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};

/// A folder that clients see as `/`.
#[derive(Debug, Clone)]
pub(super) struct Jail {
    root: PathBuf,
}

impl Jail {
    /// A jail of an existing folder.
    pub(super) fn new(root: &Path) -> io::Result<Self> {
        let root = root.canonicalize()?;
        if root.is_dir() { Ok(Self { root }) } else { Err(io::ErrorKind::NotADirectory.into()) }
    }

    /// The path as clients see it: absolute, without `.` and `..`; `..` above the top stays at the top.
    pub(super) fn shown(path: &[u8]) -> PathBuf {
        let mut shown = PathBuf::from("/");
        for component in Path::new(OsStr::from_bytes(path)).components() {
            match component {
                Component::Normal(name) => shown.push(name),
                Component::ParentDir => {
                    shown.pop();
                }
                Component::RootDir | Component::CurDir | Component::Prefix(_) => {}
            }
        }
        shown
    }

    /// The real path, for operations on the name itself (remove, rename, lstat): links on the way are followed only
    /// inside the jail, the last name is taken as it is.
    pub(super) fn name(&self, path: &[u8]) -> io::Result<PathBuf> {
        if path.contains(&0) {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        let shown = Self::shown(path);
        let inside = shown.strip_prefix("/").unwrap_or(&shown);
        let (Some(folder), Some(name)) = (inside.parent(), inside.file_name()) else {
            return Ok(self.root.clone());
        };
        Ok(self.contained(&self.root.join(folder))?.join(name))
    }

    /// The real path, for operations on what the name leads to (open, stat): a link that leads outside is refused.
    pub(super) fn follow(&self, path: &[u8]) -> io::Result<PathBuf> {
        let real = self.name(path)?;
        match real.symlink_metadata() {
            Ok(metadata) if metadata.is_symlink() => self.contained(&real),
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(real),
        }
    }

    fn contained(&self, path: &Path) -> io::Result<PathBuf> {
        let real = path.canonicalize()?;
        if real.starts_with(&self.root) { Ok(real) } else { Err(io::ErrorKind::PermissionDenied.into()) }
    }

    /// Whether this real path is the jail's own folder.
    pub(super) fn is_root(&self, real: &Path) -> bool {
        real == self.root
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::*;

    fn jail() -> (tempfile::TempDir, Jail) {
        let outer = tempfile::tempdir().unwrap();
        fs::create_dir_all(outer.path().join("jail/in/deep")).unwrap();
        fs::write(outer.path().join("secret"), "s").unwrap();
        fs::write(outer.path().join("jail/in/a"), "a").unwrap();
        let jail = Jail::new(&outer.path().join("jail")).unwrap();
        (outer, jail)
    }

    #[test]
    fn paths_stay_inside() {
        let (_outer, jail) = jail();
        for (path, real) in [
            ("", ""),
            (".", ""),
            ("/", ""),
            ("..", ""),
            ("../../..", ""),
            ("in/a", "in/a"),
            ("/in/a", "in/a"),
            ("/../in/./a", "in/a"),
            ("in/deep/../a", "in/a"),
            ("../secret", "secret"),
            ("/in/../../../secret", "secret"),
            ("in//a", "in/a"),
        ] {
            let expected = if real.is_empty() { jail.root.clone() } else { jail.root.join(real) };
            assert_eq!(jail.name(path.as_bytes()).unwrap(), expected, "{path}");
        }
        assert!(jail.name(b"in/\0a").is_err());
        assert!(jail.name(b"missing/a").is_err());
    }

    #[test]
    fn links_lead_nowhere_outside() {
        let (outer, jail) = jail();
        symlink(outer.path().join("secret"), jail.root.join("out")).unwrap();
        symlink("..", jail.root.join("up")).unwrap();
        symlink(outer.path(), jail.root.join("in/away")).unwrap();
        symlink("in/a", jail.root.join("fine")).unwrap();
        symlink("nowhere", jail.root.join("dangling")).unwrap();
        for path in ["out", "up", "up/secret", "in/away/secret", "in/away", "dangling"] {
            assert!(jail.follow(path.as_bytes()).is_err(), "{path}");
        }
        assert_eq!(jail.follow(b"fine").unwrap(), jail.root.join("in/a"));
        // A link can be removed: the name itself is inside.
        assert_eq!(jail.name(b"out").unwrap(), jail.root.join("out"));
        assert!(jail.name(b"up/secret").is_err());
    }

    #[test]
    fn whatever_is_asked_for_is_inside() {
        let (outer, jail) = jail();
        symlink(outer.path(), jail.root.join("a")).unwrap();
        proptest::proptest!(|(path in "[a./]{0,12}")| {
            if let Ok(real) = jail.follow(path.as_bytes()) {
                proptest::prop_assert!(real.starts_with(&jail.root));
            }
        });
    }
}
