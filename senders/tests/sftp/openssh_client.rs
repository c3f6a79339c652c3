//! The partner's server as OpenSSH's own client sees it. Needs the `sftp` program.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Output, Stdio};

use outport_send::partner::PartnerConfig;
use russh::keys::ssh_key::LineEnding;
use russh::keys::{Algorithm, PrivateKey, key::safe_rng};
use tokio::io::AsyncWriteExt;
use tokio::process::Command;

use crate::support::{Site, USER, content};

struct Client {
    site: Site,
    local: tempfile::TempDir,
}

impl Client {
    /// `None`, with a line that says so, where there is no `sftp`.
    async fn new() -> Option<Self> {
        if Command::new("sftp").arg("-h").stderr(Stdio::null()).status().await.is_err() {
            eprintln!("SKIP: the program `sftp` is not installed (package openssh-client)");
            return None;
        }
        let key = PrivateKey::random(&mut safe_rng(), Algorithm::Ed25519).unwrap();
        let line = key.public_key().to_openssh().unwrap();
        let site = Site::with(|config| PartnerConfig { authorized_key: Some(line), ..config }).await;
        let local = tempfile::tempdir().unwrap();
        let file = local.path().join("key");
        std::fs::write(&file, key.to_openssh(LineEnding::LF).unwrap()).unwrap();
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).unwrap();
        let host_key = PrivateKey::from_openssh(site.partner.host_key().expose()).unwrap();
        let port = site.partner.address().port();
        let known = format!("[127.0.0.1]:{port} {}\n", host_key.public_key().to_openssh().unwrap());
        std::fs::write(local.path().join("known_hosts"), known).unwrap();
        Some(Self { site, local })
    }

    /// Runs a batch; it stops at the first command that fails.
    async fn batch(&self, commands: &str, options: &[&str]) -> Output {
        let known = format!("UserKnownHostsFile={}", self.local.path().join("known_hosts").display());
        let mut child = Command::new("sftp")
            .args(["-F", "none", "-o", "StrictHostKeyChecking=yes", "-o", "IdentitiesOnly=yes", "-o", &known])
            .arg("-i")
            .arg(self.local.path().join("key"))
            .args(["-P", &self.site.partner.address().port().to_string(), "-b", "-"])
            .args(options)
            .arg(format!("{USER}@127.0.0.1"))
            .current_dir(self.local.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        child.stdin.take().unwrap().write_all(commands.as_bytes()).await.unwrap();
        child.wait_with_output().await.unwrap()
    }

    async fn good(&self, commands: &str, options: &[&str]) -> String {
        let output = self.batch(commands, options).await;
        assert!(output.status.success(), "{commands}\n{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }
}

fn same(one: &Path, other: &Path) -> bool {
    std::fs::read(one).unwrap() == std::fs::read(other).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_whole_session() {
    let Some(client) = Client::new().await else { return };
    let (local, root) = (client.local.path(), client.site.root.path());
    std::fs::write(local.join("a"), content(3_000_001, 5)).unwrap();
    client
        .good("mkdir in\ncd in\nput a\nrename a b\nput -p a\nput a b\nchmod 600 a\nmkdir deep\nrmdir deep\nput -f a c\nrm c\n", &[])
        .await;
    assert!(same(&local.join("a"), &root.join("in/a")) && same(&local.join("a"), &root.join("in/b")));
    assert_eq!(std::fs::metadata(root.join("in/a")).unwrap().permissions().mode() & 0o777, 0o600);
    assert!(!root.join("in/c").exists() && !root.join("in/deep").exists());
    let listed = client.good("pwd\nls -la in\ncd ../../..\npwd\nget in/a back\n", &[]).await;
    assert!(
        listed.contains("Remote working directory: /\n")
            && listed.contains(" a\n")
            && listed.contains("3000001"),
        "{listed}"
    );
    assert!(same(&local.join("a"), &local.join("back")));
}

#[tokio::test(flavor = "multi_thread")]
async fn many_requests_in_flight_both_ways() {
    let Some(client) = Client::new().await else { return };
    let local = client.local.path();
    std::fs::write(local.join("a"), content(20_000_000, 6)).unwrap();
    // 256 reads of 32 KiB are four times the client's window: the server has to go on reading while it waits to write.
    client.good("put a\nget a b\n", &["-R", "256", "-B", "32768"]).await;
    client.good("put a\nget a c\n", &["-R", "64", "-B", "261120"]).await;
    assert!(same(&local.join("a"), &local.join("b")) && same(&local.join("a"), &local.join("c")));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_it_refuses() {
    let Some(client) = Client::new().await else { return };
    let root = client.site.root.path();
    std::fs::write(root.join("a"), "a").unwrap();
    std::fs::create_dir(root.join("folder")).unwrap();
    std::fs::write(root.join("folder/x"), "x").unwrap();
    for commands in [
        "get missing\n",
        "rm folder\n",
        "rmdir folder\n",
        "ln -s a link\n",
        "cd missing\n",
        "mkdir folder\n",
        "rmdir /\n",
    ] {
        let output = client.batch(commands, &[]).await;
        assert_eq!(output.status.code(), Some(1), "{commands}: {}", String::from_utf8_lossy(&output.stderr));
    }
    assert_eq!(client.site.files(), ["a", "folder"]);
}
