//! The user of this machine whom tests log in as.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Context;

use super::super::{missing, output_of};

/// Whom to log in as. Made by `tests/run` when it runs as root; otherwise the one who runs the tests.
#[derive(Clone)]
pub struct Login {
    /// The user's name.
    pub user: String,
    /// The user's password; `None` when not root.
    pub password: Option<String>,
    /// A folder that belongs to root up to `/`, for chroots; `None` when not root.
    pub(in crate::servers) home: Option<PathBuf>,
}

impl std::fmt::Debug for Login {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Login").field("user", &self.user).finish_non_exhaustive()
    }
}

impl Login {
    pub(in crate::servers) fn from_environment() -> anyhow::Result<Self> {
        let user = std::env::var("OUTPORT_TEST_SSH_USER");
        if rustix::process::geteuid().is_root() {
            let user = user.map_err(|_| missing("the test user (OUTPORT_TEST_SSH_USER)"))?;
            let password = std::env::var("OUTPORT_TEST_SSH_PASSWORD")
                .map_err(|_| missing("the test user's password (OUTPORT_TEST_SSH_PASSWORD)"))?;
            let home = std::env::var_os("OUTPORT_TEST_SSH_HOME").map(PathBuf::from);
            Ok(Self { user, password: Some(password), home })
        } else {
            let user = match user {
                Ok(user) => user,
                Err(_) => output_of(Command::new("id").arg("-un"))?.trim_end().to_owned(),
            };
            Ok(Self { user, password: None, home: None })
        }
    }

    /// Makes `path` the user's own; nothing to do when the user is the one who runs the tests.
    pub(in crate::servers) fn give(&self, path: &Path) -> anyhow::Result<()> {
        if !rustix::process::geteuid().is_root() {
            return Ok(());
        }
        let number = |of: &str| -> anyhow::Result<u32> {
            output_of(Command::new("id").args([of, &self.user]))?
                .trim_end()
                .parse()
                .context("id printed no number")
        };
        std::os::unix::fs::chown(path, Some(number("-u")?), Some(number("-g")?))
            .with_context(|| format!("could not give {} to {}", path.display(), self.user))
    }
}
