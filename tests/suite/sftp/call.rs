//! `outport send` called wrongly, and files that change under its hands: a fault with code and hint, before any byte where
//! that is possible.

use std::net::TcpListener;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use outport_tests::child::{Child, Stream};
use outport_tests::need;
use outport_tests::process::{Finished, Outport};
use outport_tests::servers::openssh::{Config, OpenSsh};
use outport_tests::site::FolderWatch;

use super::{content, names};

/// A folder with what the calls below name.
fn work(server: &OpenSsh) -> tempfile::TempDir {
    let work = tempfile::tempdir().unwrap();
    let write = |name: &str, content: &[u8]| std::fs::write(work.path().join(name), content).unwrap();
    write("a.txt", b"content");
    write("b\nb.txt", b"content");
    write("nonsense.key", b"no key at all");
    write("empty.key", b"");
    write("binary.key", &[0xff; 100]);
    let key = std::fs::read(server.key_file()).unwrap();
    write("cut.key", &key[..key.len() / 2]);
    std::fs::copy(server.key_file().with_extension("pub"), work.path().join("key.pub")).unwrap();
    for folder in ["folder", "one", "two"] {
        std::fs::create_dir(work.path().join(folder)).unwrap();
    }
    write("one/same.txt", b"one");
    write("two/same.txt", b"two");
    let encrypted = work.path().join("encrypted.key");
    std::fs::copy(server.key_file(), &encrypted).unwrap();
    let sealed = Command::new("ssh-keygen")
        .args(["-q", "-p", "-N", "open sesame", "-P", "", "-f"])
        .arg(&encrypted)
        .status();
    assert!(sealed.unwrap().success());
    let pipe = Command::new("mkfifo").arg(work.path().join("pipe")).status();
    assert!(pipe.unwrap().success());
    work
}

fn call(work: &Path, arguments: &[&str]) -> Outport {
    Outport::new(work, [&["send"], arguments].concat()).env("WRONG", "hunter-2")
}

#[track_caller]
fn told(ended: &Finished, exit: i32, code: &str, words: &[&str]) {
    assert_eq!((ended.code, ended.stdout.as_str()), (Some(exit), ""), "{ended:?}");
    assert!(ended.stderr.contains(&format!("[{code}]\nhint: ")), "no {code} in {ended:?}");
    for word in words {
        assert!(ended.stderr.contains(word), "no {word:?} in {ended:?}");
    }
    assert!(!ended.stderr.contains("hunter") && !ended.stderr.contains("PRIVATE KEY"), "{ended:?}");
    assert!(!ended.stderr.chars().any(|c| c.is_control() && c != '\n'), "{ended:?}");
}

#[test]
fn what_is_wrong_on_our_side_is_told_before_anything_is_sent() {
    let server = need!(OpenSsh::start(Config::default()));
    let work = work(&server);
    let url = format!("sftp://{}@{}/", server.login().user, server.address());
    let long = format!("{url}{}", "n".repeat(256));
    let (key, pin) = (server.key_file().to_str().unwrap(), server.fingerprint());
    let with_key = |file: &'static str| ["a.txt", &url, "--host-key", pin, "--identity", file];
    let (unusable, missing) = ("endpoint.secret_unusable", "credential.missing");
    for (file, code, words) in [
        ("nix.key", missing, &["nix.key", "No such file"][..]),
        ("folder", missing, &["folder", "Is a directory"]),
        ("empty.key", missing, &["empty"]),
        ("binary.key", missing, &["UTF-8"]),
        ("nonsense.key", unusable, &["known format", "ssh-keygen"]),
        ("cut.key", unusable, &["damaged"]),
        ("key.pub", unusable, &["public key"]),
        ("encrypted.key", unusable, &["encrypted", "--passphrase-from"]),
    ] {
        told(&call(work.path(), &with_key(file)).run().unwrap(), 1, code, words);
    }
    let sealed = with_key("encrypted.key");
    let passphrase = |from: &'static str| [&sealed[..], &["--passphrase-from", from]].concat();
    told(&call(work.path(), &passphrase("env:WRONG")).run().unwrap(), 1, unusable, &["passphrase is wrong"]);
    told(&call(work.path(), &passphrase("env:NOT_SET")).run().unwrap(), 1, missing, &["NOT_SET"]);
    told(&call(work.path(), &passphrase("hunter-2")).run().unwrap(), 2, "usage.invalid", &[]);

    let login = ["--host-key", pin, "--identity", key];
    for (files, exit, code, words) in [
        (&["nix.txt", &url][..], 1, "local.io_failed", &["nix.txt"][..]),
        (&["a.txt", "nix.txt", &url], 1, "local.io_failed", &["nix.txt"]),
        (&["folder", &url], 1, "local.io_failed", &["not a file"]),
        (&["pipe", &url], 1, "local.io_failed", &["not a file"]),
        (&["b\nb.txt", &url], 1, "route.name_refused", &["control character", "rename the file"]),
        (&["a.txt", "b\nb.txt", &url], 1, "route.name_refused", &["control character"]),
        (&["a.txt", &long], 1, "route.name_refused", &["256 bytes"]),
        (&["one/same.txt", "two/same.txt", &url], 2, "usage.invalid", &["same.txt"]),
        (&["a.txt", "sftp://u@127.0.0.1:99999/"], 2, "usage.invalid", &["99999"]),
        (&["a.txt", "sftp://u@127.0.0.1:0/"], 2, "usage.invalid", &[]),
    ] {
        told(&call(work.path(), &[files, &login].concat()).run().unwrap(), exit, code, words);
    }
    let pins = ["", "SHA256:short", "MD5:aa:bb:cc", "ssh-ed25519", "/no/such/file"];
    for pin in pins {
        let ended = call(work.path(), &["a.txt", &url, "--identity", key, "--host-key", pin]).run().unwrap();
        told(&ended, 2, "usage.invalid", &["43 characters"]);
    }
    assert!(!server.log().contains("Connection from"), "{}", server.log());
    assert_eq!(names(server.folder()), [""; 0]);

    // The same folder, called rightly.
    let sent = call(work.path(), &[&["a.txt", &url], &login[..]].concat()).run().unwrap();
    assert_eq!(sent.code, Some(0), "{sent:?}");
}

#[test]
fn nobody_there_and_nobody_of_that_name() {
    let server = need!(OpenSsh::start(Config::default()));
    let work = work(&server);
    let login = ["--host-key", server.fingerprint(), "--identity", server.key_file().to_str().unwrap()];
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    // A label has at most 63 bytes (RFC 1035 section 2.3.4): no resolver asks the network for this one.
    let unknown = format!("sftp://u@{}.example/", "n".repeat(64));
    let closed = format!("sftp://u@{closed}/");
    for (url, code) in [(&closed, "endpoint.refused"), (&unknown, "endpoint.dns")] {
        told(
            &call(work.path(), &[&["a.txt", url.as_str()], &login[..]].concat()).run().unwrap(),
            1,
            code,
            &["a.txt"],
        );
    }
}

#[test]
fn without_a_fingerprint_nobody_logs_in() {
    let lines = vec!["LogLevel DEBUG1".to_owned()];
    let server = need!(OpenSsh::start(Config { lines, ..Config::default() }));
    let work = work(&server);
    let url = format!("sftp://{}@{}/", server.login().user, server.address());
    let ended =
        call(work.path(), &["a.txt", &url, "--identity", server.key_file().to_str().unwrap()]).run().unwrap();
    told(&ended, 1, "sftp.hostkey.unpinned", &[server.fingerprint()]);
    assert!(!server.log().contains("userauth-request"), "{}", server.log());
}

#[test]
fn the_longest_name_and_the_oddest_arrive() {
    let server = need!(OpenSsh::start(Config::default()));
    let work = tempfile::tempdir().unwrap();
    let long = "\u{e4}".repeat(127) + "x";
    assert_eq!(long.len(), 255);
    let odd = [&long, "*", "-r", "a 'b' \"c\" $(d)", "\u{1f4e6}"];
    for name in odd {
        std::fs::write(work.path().join(name), name).unwrap();
    }
    let watch = FolderWatch::start(server.folder(), odd.map(|name| (name, name.as_bytes())));
    let url = format!("sftp://{}@{}/", server.login().user, server.address());
    let login = ["--host-key", server.fingerprint(), "--identity", server.key_file().to_str().unwrap()];
    let sent = call(work.path(), &[&login[..], &["--"], &odd, &[&url]].concat()).run().unwrap();
    assert_eq!((sent.code, sent.stderr.as_str()), (Some(0), ""), "{sent:?}");
    watch.finish().unwrap();
}

/// Begins to send a large file, does something to the file half-way, and lets it end.
fn while_it_is_sent(server: &OpenSsh, change: impl FnOnce(&Path)) -> Finished {
    let work = tempfile::tempdir().unwrap();
    let file = work.path().join("a");
    // Far more than may be under way: the second half cannot have been read when the first is on the server.
    std::fs::write(&file, content(48 * 1024 * 1024, 6)).unwrap();
    let url = format!("sftp://{}@{}/", server.login().user, server.address());
    let login = ["--host-key", server.fingerprint(), "--identity", server.key_file().to_str().unwrap()];
    let mut sending: Child = call(work.path(), &[&["a", &url], &login[..]].concat()).start().unwrap();
    let started = Instant::now();
    while names(server.folder()).is_empty() {
        assert!(started.elapsed() < Duration::from_secs(30), "the upload did not begin");
        std::thread::sleep(Duration::from_millis(1));
    }
    server.freeze().unwrap();
    change(&file);
    server.thaw().unwrap();
    let code = sending.wait(Duration::from_secs(60)).unwrap().code();
    Finished { code, stdout: sending.printed(Stream::Out), stderr: sending.printed(Stream::Err) }
}

#[test]
fn a_file_that_changes_while_it_is_sent_gets_no_final_name() {
    let server = need!(OpenSsh::start(Config::default()));
    let open = |file: &Path| std::fs::File::options().write(true).open(file).unwrap();
    type Change = fn(&std::fs::File);
    let changes: [(&str, Change); 3] = [
        ("shrinks", |file| file.set_len(100_000).unwrap()),
        ("grows", |file| file.set_len(50 * 1024 * 1024).unwrap()),
        ("changes", |file| {
            std::os::unix::fs::FileExt::write_all_at(file, b"another", 47 * 1024 * 1024).unwrap()
        }),
    ];
    for (how, change) in changes {
        let watch = FolderWatch::start(server.folder(), []);
        let ended = while_it_is_sent(&server, |file| change(&open(file)));
        told(&ended, 1, "local.io_failed", &["a was changed while it was sent", "send it again"]);
        watch.finish().unwrap_or_else(|fault| panic!("{how}: {fault:#}"));
    }
}
