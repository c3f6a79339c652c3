#![doc = include_str!("../README.md")]

pub mod check;
pub mod dial;
pub mod faulty;
pub mod fence;
pub mod known_hosts;
pub mod memory;
pub mod outcome;
pub mod partner;
mod plug;
pub mod pool;
mod probe;
pub mod push;
pub mod remote;
pub mod secret;
pub mod sftp;
pub mod sha256;
pub mod source;
pub mod target;
pub mod url;
mod wildcard;

pub use dial::{Proxy, ProxyLogin, Route};
pub use fence::{Fence, IntentStep, NoFence, RenameIntent, Stop};
pub use outcome::{ConfirmedBy, Outcome, Receipt, Stage};
pub use pool::{Pool, PooledRemote};
pub use push::{Earlier, OnUnconfirmed, Upload, deliver, push};
pub use remote::{
    ConnectFault, Connector, FileAttributes, Introduction, Offers, Opening, PeerIdentity, Remote,
    RemoteError, RemoteFile, RemoteReader, RemoteStat, RenameWith,
};
pub use secret::Secret;
pub use sha256::Sha256Sum;
pub use source::Source;
pub use target::{Auth, HostAuthority, HostKeyPin, Target, Timeouts};
pub use url::SftpUrl;
