//! What the tests share.

use std::sync::Arc;
use std::time::Duration;

use outport_send::partner::{Partner, PartnerConfig};
use outport_send::sftp::SftpConnector;
use outport_send::{Auth, ConnectFault, Connector, Remote, Secret, Target, Timeouts};

pub const USER: &str = "mft";
pub const PASSWORD: &str = "corr3ct-horse";

pub struct Site {
    pub partner: Partner,
    pub root: tempfile::TempDir,
}

impl Site {
    /// A partner that takes [`USER`] with [`PASSWORD`].
    pub async fn start() -> Self {
        Self::with(|config| config.password(PASSWORD)).await
    }

    pub async fn with(configure: impl FnOnce(PartnerConfig) -> PartnerConfig) -> Self {
        let root = tempfile::tempdir().unwrap();
        let config = configure(PartnerConfig::new(root.path(), USER));
        Self { partner: Partner::start(config).await.unwrap(), root }
    }

    pub fn target(&self) -> Target {
        Target {
            host_key_pins: vec![self.partner.fingerprint()],
            ..target(self.partner.address().port(), vec![password(PASSWORD)])
        }
    }

    pub fn read(&self, path: &str) -> Vec<u8> {
        std::fs::read(self.root.path().join(path)).unwrap()
    }

    /// Every file below the root, in order.
    pub fn files(&self) -> Vec<String> {
        let mut names: Vec<String> = std::fs::read_dir(self.root.path())
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }
}

pub fn password(text: &str) -> Auth {
    Auth::Password(Secret::new(text))
}

/// A target on loopback without pins, with short limits.
pub fn target(port: u16, auth: Vec<Auth>) -> Target {
    Target {
        endpoint: "acme".into(),
        revision: "1".into(),
        label: "acme/sftp".into(),
        host: "127.0.0.1".into(),
        port,
        username: USER.into(),
        auth,
        host_key_pins: vec![],
        timeouts: Timeouts { login: Duration::from_secs(20), ..Timeouts::default() },
        second_channel: false,
    }
}

pub async fn connect(target: &Target) -> Result<Arc<dyn Remote>, ConnectFault> {
    SftpConnector.connect(target).await
}

#[track_caller]
pub fn refused(result: Result<Arc<dyn Remote>, ConnectFault>) -> ConnectFault {
    match result {
        Ok(_) => panic!("it connected"),
        Err(failed) => failed,
    }
}

/// Bytes that repeat nowhere near, so that a piece in the wrong place shows.
pub fn content(size: usize, seed: u64) -> Vec<u8> {
    let mut state = seed | 1;
    let mut bytes = Vec::with_capacity(size + 8);
    while bytes.len() < size {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        bytes.extend_from_slice(&state.to_le_bytes());
    }
    bytes.truncate(size);
    bytes
}
