//! How a server is reached, believed and logged in to, against a real OpenSSH server.

mod algorithms;
mod authorities;
mod first_use;
mod known_hosts;
mod logins;
mod proxies;
mod user_certificates;

use std::path::{Path, PathBuf};
use std::process::Command;

use outport_tests::process::{Finished, Outport};
use outport_tests::servers::openssh::OpenSsh;

/// `outport send a.txt` with these further arguments; the file lies in `work`.
fn send(server: &OpenSsh, host: &str, work: &Path, more: &[&str]) -> Finished {
    std::fs::write(work.join("a.txt"), "content").unwrap();
    let url = format!("sftp://{}@{host}:{}/", server.login().user, server.address().port());
    let arguments = ["send", "a.txt", &url].into_iter().chain(more.iter().copied());
    Outport::new(work, arguments).env("SECRET", "geheim").run().unwrap()
}

/// The same with the key that the server lets in.
fn send_with_key(server: &OpenSsh, work: &Path, more: &[&str]) -> Finished {
    let key = server.key_file().to_str().unwrap();
    send(server, "127.0.0.1", work, &[&["--identity", key], more].concat())
}

/// That it was sent.
#[track_caller]
fn assert_sent(server: &OpenSsh, sent: &Finished) {
    assert_eq!(sent.code, Some(0), "{sent:?}\n{}", server.log());
    let file = server.folder().join("a.txt");
    assert_eq!(std::fs::read(&file).unwrap(), b"content");
    std::fs::remove_file(file).unwrap();
}

/// That it was not, and why.
#[track_caller]
fn assert_refused(server: &OpenSsh, refused: &Finished, code: &str, why: &[&str]) {
    assert_eq!(refused.code, Some(1), "{refused:?}\n{}", server.log());
    assert!(refused.stderr.contains(&format!("[{code}]\nhint: ")), "{refused:?}");
    for why in why {
        assert!(refused.stderr.contains(why), "{why:?} is not in {refused:?}");
    }
    assert!(!refused.stderr.contains("geheim"), "{refused:?}");
    assert!(!server.folder().join("a.txt").exists());
}

/// `ssh-keygen` in `folder`.
fn keygen(folder: &Path, arguments: &[&str]) {
    let made = Command::new("ssh-keygen").arg("-q").args(arguments).current_dir(folder).output().unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
}

/// A new key pair `folder/name`.
fn key_pair(folder: &Path, name: &str, kind: &[&str]) -> PathBuf {
    keygen(folder, &[&["-N", "", "-C", name, "-f", name, "-t"], kind].concat());
    folder.join(name)
}

fn lines(lines: &[&str]) -> Vec<String> {
    lines.iter().map(ToString::to_string).collect()
}
