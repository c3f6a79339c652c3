//! The SSH side of the partner's server: who may enter, and the SFTP subsystem.

use std::collections::HashMap;
use std::sync::Arc;

use russh::keys::PublicKey;
use russh::server::{Auth, ChannelOpenHandle, Handler, Msg, PublicKeyOffer, Session, VerifiedPublicKey};
use russh::{Channel, ChannelId};

use super::Counts;
use super::channel;
use super::folder_service::FolderService;
use super::jail::Jail;
use crate::secret::Secret;

/// Who may enter, and what they find.
#[derive(Debug)]
pub(super) struct Door {
    pub(super) root: Jail,
    pub(super) user: String,
    pub(super) password: Option<Secret>,
    pub(super) authorized_key: Option<PublicKey>,
    pub(super) counts: Arc<Counts>,
}

impl Door {
    fn takes_key(&self, user: &str, key: &PublicKey) -> bool {
        user == self.user
            && self.authorized_key.as_ref().is_some_and(|authorized| authorized.key_data() == key.key_data())
    }
}

/// One connection.
pub(super) struct Visitor {
    door: Arc<Door>,
    /// Opened and not yet used for SFTP.
    channels: HashMap<ChannelId, Channel<Msg>>,
}

impl Visitor {
    pub(super) fn new(door: Arc<Door>) -> Self {
        Self { door, channels: HashMap::new() }
    }
}

fn verdict(is_welcome: bool) -> Auth {
    if is_welcome { Auth::Accept } else { Auth::reject() }
}

impl Handler for Visitor {
    type Error = russh::Error;

    async fn auth_password(&mut self, user: &str, password: &str) -> Result<Auth, russh::Error> {
        self.door.counts.login_tried();
        let is_right = self.door.password.as_ref().is_some_and(|right| right.expose() == password);
        Ok(verdict(is_right && user == self.door.user))
    }

    async fn auth_publickey_offered(
        &mut self,
        user: &str,
        offer: PublicKeyOffer<'_>,
    ) -> Result<Auth, russh::Error> {
        self.door.counts.login_tried();
        Ok(verdict(self.door.takes_key(user, offer.public_key)))
    }

    async fn auth_publickey(&mut self, user: &str, key: VerifiedPublicKey<'_>) -> Result<Auth, russh::Error> {
        Ok(verdict(self.door.takes_key(user, key.public_key)))
    }

    async fn channel_open_session(
        &mut self,
        channel: Channel<Msg>,
        reply: ChannelOpenHandle,
        _session: &mut Session,
    ) -> Result<(), russh::Error> {
        // As many as OpenSSH's MaxSessions.
        if self.channels.len() >= 10 {
            reply.reject(russh::ChannelOpenFailure::ResourceShortage).await;
            return Ok(());
        }
        self.channels.insert(channel.id(), channel);
        reply.accept().await;
        Ok(())
    }

    async fn channel_close(
        &mut self,
        channel: ChannelId,
        _session: &mut Session,
    ) -> Result<(), russh::Error> {
        self.channels.remove(&channel);
        Ok(())
    }

    async fn subsystem_request(
        &mut self,
        id: ChannelId,
        name: &str,
        session: &mut Session,
    ) -> Result<(), russh::Error> {
        match self.channels.remove(&id) {
            Some(channel) if name == "sftp" => {
                self.door.counts.channel_opened();
                session.channel_success(id)?;
                tokio::spawn(channel::serve(channel, FolderService::new(self.door.root.clone())));
            }
            _ => session.channel_failure(id)?,
        }
        Ok(())
    }

    async fn shell_request(&mut self, channel: ChannelId, session: &mut Session) -> Result<(), russh::Error> {
        session.channel_failure(channel)
    }

    async fn exec_request(
        &mut self,
        channel: ChannelId,
        _command: &[u8],
        session: &mut Session,
    ) -> Result<(), russh::Error> {
        session.channel_failure(channel)
    }
}
