//! Folders that are missing are made, where the plan says so.

use outport_core::{Fault, RemoteName, code};

use super::Run;
use crate::remote::{Opening, RemoteFile};

impl Run<'_> {
    /// Opens a file; the folders of its path are made when that is why it is refused, once.
    pub(super) async fn open(&self, path: &str, opening: Opening) -> Result<Box<dyn RemoteFile>, Fault> {
        match self.remote.create(path, opening).await {
            Err(fault) if self.may_make_folders(&fault) => {
                self.make_folders(path).await?;
                self.remote.create(path, opening).await
            }
            opened => opened,
        }
    }

    pub(super) fn may_make_folders(&self, fault: &Fault) -> bool {
        self.upload.plan.mkdirs() && fault.code == &code::REMOTE_NO_SUCH_FOLDER && self.remote.alive()
    }

    /// Makes every folder above the file. Those that are there stay as they are; that the upper ones may not be made by
    /// us, or not be looked at, is of no matter when the last one is there.
    pub(super) async fn make_folders(&self, path: &str) -> Result<(), Fault> {
        self.make_folder_by_folder(&folders_above(path)).await
    }

    async fn make_folder_by_folder(&self, folders: &[&str]) -> Result<(), Fault> {
        let mut last = Ok(());
        for folder in folders {
            if self.fence.check().is_err() {
                break;
            }
            last = self.remote.make_folder(folder).await;
            if let Err(fault) = &last {
                tracing::debug!(code = fault.code.name, "a folder of the path was not made");
            }
        }
        last
    }
}

/// Every folder of a path, from the top.
fn folders_above(path: &str) -> Vec<&str> {
    path.char_indices().filter(|(at, c)| *c == '/' && *at > 0).map(|(at, _)| &path[..at]).collect()
}

/// The path as a name whose neighbours can be made.
pub(super) fn name_of(path: &str) -> Result<RemoteName, Fault> {
    RemoteName::new(path).map_err(Fault::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_from_the_top() {
        for (path, folders) in [
            ("a", vec![]),
            ("/a", vec![]),
            ("in/a", vec!["in"]),
            ("/in/b/a", vec!["/in", "/in/b"]),
            ("x/y/z/a", vec!["x", "x/y", "x/y/z"]),
        ] {
            assert_eq!(folders_above(path), folders, "{path}");
        }
    }
}
