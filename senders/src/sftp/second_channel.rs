//! One more SFTP channel on a connection, for its large files: opened when the first of them asks, if it is allowed.

use std::sync::Arc;

use russh::client::Handle;
use tokio::sync::OnceCell;
use tokio::time::timeout;

use super::connect::start_sftp;
use super::peer::{Peer, Watcher};
use super::session::Session;
use crate::target::Target;

/// See the module.
pub(super) struct SecondChannel {
    target: Target,
    ssh: Arc<Handle<Watcher>>,
    peer: Arc<Peer>,
    /// `None`: there is none.
    session: OnceCell<Option<Arc<Session>>>,
}

impl SecondChannel {
    pub(super) fn new(target: &Target, ssh: &Arc<Handle<Watcher>>, peer: &Arc<Peer>) -> Self {
        Self {
            target: target.clone(),
            ssh: Arc::clone(ssh),
            peer: Arc::clone(peer),
            session: OnceCell::new(),
        }
    }

    /// Whether it is worth asking.
    pub(super) fn may_be(&self) -> bool {
        self.target.second_channel && !matches!(self.session.get(), Some(None))
    }

    pub(super) async fn session(&self) -> Option<Arc<Session>> {
        if !self.may_be() {
            return None;
        }
        self.session.get_or_init(|| self.open()).await.clone()
    }

    async fn open(&self) -> Option<Arc<Session>> {
        let starting = start_sftp(&self.ssh, &self.target, &self.peer);
        let problem = match timeout(self.target.timeouts.login, starting).await {
            Ok(Ok((session, _))) => return Some(Arc::new(session)),
            Ok(Err(fault)) => fault.message,
            Err(_) => "no answer".to_owned(),
        };
        tracing::info!(endpoint = %self.target.label, "large files stay on one channel: {problem}");
        None
    }
}
