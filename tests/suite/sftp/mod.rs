//! The sender against real servers: OpenSSH, ProFTPD and Python's paramiko, in good order and in bad.
//!
//! The sender is called as the engine calls it, so that a test can hold the source, the connection and the time limits in its
//! hand. Most tests watch the server's folder from the side: no file may ever be shorter than its source there.

mod answers;
mod big;
mod call;
mod check;
mod everywhere;
mod openssh;
mod plan;
mod proftpd;
mod source;
mod sources;
mod stopped;

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use outport_send::sftp::SftpConnector;
use outport_send::source::BytesSource;
use outport_send::{Auth, Connector, NoFence, Outcome, Receipt, Remote, Secret, Target, Upload, push};
use outport_tests::servers::openssh::OpenSsh;
use outport_tests::servers::paramiko::Paramiko;
use outport_tests::servers::proftpd::ProFtpd;

/// What the tests need of a server, whichever it is.
trait Server: Send + Sync {
    /// How to reach it, logging in with the key.
    fn target(&self) -> Target;
    /// The folder of this machine where relative names land.
    fn folder(&self) -> &Path;
}

impl Server for OpenSsh {
    fn target(&self) -> Target {
        target(self.address(), &self.login().user, by_key(self.key_file()), self.fingerprint())
    }

    fn folder(&self) -> &Path {
        self.folder()
    }
}

impl Server for ProFtpd {
    fn target(&self) -> Target {
        target(self.address(), &self.login().user, by_key(self.key_file()), self.fingerprint())
    }

    fn folder(&self) -> &Path {
        self.folder()
    }
}

impl Server for Paramiko {
    fn target(&self) -> Target {
        target(self.address(), Self::USER, by_key(self.key_file()), self.fingerprint())
    }

    fn folder(&self) -> &Path {
        self.folder()
    }
}

/// The one place of these tests that says all that a target has.
fn target(address: SocketAddr, user: &str, auth: Auth, fingerprint: &str) -> Target {
    Target {
        host_key_pins: vec![fingerprint.parse().unwrap()],
        ..Target::new("acme/sftp", (address.ip().to_string(), address.port()), user, vec![auth])
    }
}

fn by_key(file: &Path) -> Auth {
    Auth::Key {
        pem: Secret::new(std::fs::read_to_string(file).unwrap()),
        passphrase: None,
        certificate: None,
    }
}

fn by_password(password: &str) -> Auth {
    Auth::Password(Secret::new(password))
}

async fn connect(target: &Target) -> Arc<dyn Remote> {
    SftpConnector.connect(target).await.unwrap_or_else(|failed| panic!("{failed}"))
}

/// An upload of `name` (with folder, if any), under the temporary name of attempt `attempt`.
fn upload(name: &str, attempt: u32) -> Upload {
    Upload::new(name, temp(name, attempt))
}

/// The temporary name of that attempt.
fn temp(name: &str, attempt: u32) -> String {
    let (folder, file) = name.split_at(name.rfind('/').map_or(0, |slash| slash + 1));
    format!("{folder}.{file}.{attempt}.part")
}

/// One attempt to send these bytes.
async fn send(remote: &dyn Remote, upload: &Upload, content: &[u8]) -> Outcome {
    push(remote, upload, &mut BytesSource::new(content.to_vec()), &NoFence).await
}

#[track_caller]
fn delivered(outcome: Outcome) -> Receipt {
    match outcome {
        Outcome::Delivered(receipt) => receipt,
        other => panic!("{other:?}"),
    }
}

/// `size` bytes in no period: a piece in the wrong place shows.
fn content(size: usize, seed: u64) -> Vec<u8> {
    let mut state = seed | 1;
    let mut bytes = Vec::with_capacity(size + 8);
    while bytes.len() < size {
        // The constants of Knuth's MMIX.
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        bytes.extend_from_slice(&state.to_le_bytes());
    }
    bytes.truncate(size);
    bytes
}

/// Names in a folder, sorted.
fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}
