//! A large file on a second channel of its connection. A server's window is one channel's: OpenSSH lets 2 MiB be under way
//! on each, so that one channel ends at 2 MiB a round trip, however wide the line is.

use std::sync::Arc;

use tokio::task::JoinHandle;

use super::Open;
use crate::sftp::connection::Connection;

/// Written so far when the second channel is asked for. Smaller files are through before it is there: it takes three
/// round trips, and one window of 2 MiB goes out in each.
const FROM_BYTES: u64 = 8 * 1024 * 1024;

/// The file on the second channel, as far as it has come.
#[derive(Default)]
pub(super) enum Second {
    #[default]
    NotAsked,
    /// The first channel goes on meanwhile.
    Opening(JoinHandle<Option<Open>>),
    /// It was given out, or there is none.
    Settled,
}

impl Second {
    /// Asks for it when it is time; hands it out once it is there.
    pub(super) async fn look(
        &mut self,
        connection: &Arc<Connection>,
        path: &str,
        offset: u64,
    ) -> Option<Open> {
        match self {
            Self::NotAsked if offset >= FROM_BYTES => {
                *self = if connection.may_have_second() {
                    let (connection, path) = (Arc::clone(connection), path.to_owned());
                    Self::Opening(tokio::spawn(async move { open(&connection, &path).await }))
                } else {
                    Self::Settled
                };
                None
            }
            Self::Opening(opening) if opening.is_finished() => self.end().await,
            _ => None,
        }
    }

    /// What is still to be closed: it was not handed out.
    pub(super) async fn end(&mut self) -> Option<Open> {
        match std::mem::replace(self, Self::Settled) {
            // A bug in there costs the second channel, not the file.
            Self::Opening(opening) => opening.await.ok().flatten(),
            Self::NotAsked | Self::Settled => None,
        }
    }
}

async fn open(connection: &Connection, path: &str) -> Option<Open> {
    let session = connection.second().await?;
    let handle = connection.open_again(&session, path).await?;
    Some(Open { session, handle })
}
