//! `outport send` and `outport transform`: the product's own code by hand, without a database.

use std::path::Path;

use outport_tests::need;
use outport_tests::process::{Finished, Outport};
use outport_tests::servers::openssh::{Config, OpenSsh};

use super::{CLAIMS, CLAIMS_CSV, binary, log_of_logins, login_requests, names, sha256};

fn outport<'a>(folder: &Path, arguments: impl IntoIterator<Item = &'a str>) -> Finished {
    Outport::new(folder, arguments).run().unwrap()
}

/// `outport send FILES... URL`, with the server's key and its pin.
fn send(server: &OpenSsh, work: &Path, files: &[&str], path: &str, pin: &str) -> Finished {
    let url = format!("sftp://{}@{}/{path}", server.login().user, server.address());
    let key = server.key_file().to_str().unwrap();
    let more = [url.as_str(), "--identity", key, "--host-key", pin];
    outport(work, ["send"].into_iter().chain(files.iter().copied()).chain(more))
}

#[test]
fn files_are_sent_whole_and_each_has_its_line() {
    let server = need!(OpenSsh::start(Config::default()));
    let work = tempfile::tempdir().unwrap();
    let contents = [("a b.txt", b"small".to_vec()), ("big.bin", binary(2_000_003, 9))];
    for (name, content) in &contents {
        std::fs::write(work.path().join(name), content).unwrap();
    }
    std::fs::create_dir(server.folder().join("named")).unwrap();
    let sent = send(&server, work.path(), &["a b.txt", "big.bin"], "", server.fingerprint());
    assert_eq!((sent.code, sent.stderr.as_str()), (Some(0), ""), "{sent:?}");
    for (name, content) in &contents {
        assert_eq!(&std::fs::read(server.folder().join(name)).unwrap(), content, "{name}");
        let line = format!("{name} {} bytes sha256 {}", content.len(), sha256(content));
        assert!(sent.stdout.lines().any(|printed| printed == line), "{line} is not in {sent:?}");
    }
    assert_eq!(sent.stdout.lines().count(), contents.len(), "{sent:?}");

    // A single file under another name, in place of the one that is there.
    let renamed = send(&server, work.path(), &["a b.txt"], "big.bin", server.fingerprint());
    assert_eq!(renamed.code, Some(0), "{renamed:?}");
    assert_eq!(std::fs::read(server.folder().join("big.bin")).unwrap(), b"small");
    assert_eq!(names(&server), ["a b.txt", "big.bin", "named"]);
    assert_eq!(std::fs::read_dir(work.path()).unwrap().count(), contents.len(), "a send leaves nothing here");
}

#[test]
fn another_host_key_gets_nothing_not_even_a_user_name() {
    let server = need!(OpenSsh::start(Config { lines: log_of_logins(), ..Config::default() }));
    let other = need!(OpenSsh::start(Config::default()));
    let work = tempfile::tempdir().unwrap();
    std::fs::write(work.path().join("a.txt"), "content").unwrap();
    let refused = send(&server, work.path(), &["a.txt"], "", other.fingerprint());
    assert_eq!((refused.code, refused.stdout.as_str()), (Some(1), ""), "{refused:?}");
    assert!(refused.stderr.contains("[sftp.hostkey.changed]\nhint: "), "{refused:?}");
    for fingerprint in [server.fingerprint(), other.fingerprint()] {
        assert!(refused.stderr.contains(fingerprint), "{fingerprint} is not in {refused:?}");
    }
    assert_eq!((login_requests(&server), names(&server)), (0, vec![]), "{}", server.log());

    let sent = send(&server, work.path(), &["a.txt"], "", server.fingerprint());
    assert_eq!(sent.code, Some(0), "{sent:?}");
    assert!(login_requests(&server) > 0, "the log does not show logins: {}", server.log());
}

#[test]
fn what_the_server_refuses_ends_with_its_code() {
    let server = need!(OpenSsh::start(Config::default()));
    let work = tempfile::tempdir().unwrap();
    std::fs::write(work.path().join("a.txt"), "content").unwrap();
    let refused = send(&server, work.path(), &["a.txt"], "no/such/", server.fingerprint());
    assert_eq!((refused.code, refused.stdout.as_str()), (Some(1), ""), "{refused:?}");
    assert!(refused.stderr.contains("[remote.no_such_folder]\nhint: "), "{refused:?}");
    assert_eq!(names(&server), Vec::<String>::new());

    // One of two: the good one is sent, and the exit code says that not all is well.
    std::fs::create_dir(server.folder().join("b.txt")).unwrap();
    std::fs::write(work.path().join("b.txt"), "content").unwrap();
    let half = send(&server, work.path(), &["a.txt", "b.txt"], "", server.fingerprint());
    assert_eq!((half.code, half.stdout.lines().count()), (Some(1), 1), "{half:?}");
    assert!(half.stderr.contains("[remote.exists]"), "{half:?}");
    assert_eq!(names(&server), ["a.txt", "b.txt"]);
}

#[test]
fn wrong_calls_end_with_2_and_send_nothing() {
    let server = need!(OpenSsh::start(Config { lines: log_of_logins(), ..Config::default() }));
    let work = tempfile::tempdir().unwrap();
    std::fs::write(work.path().join("a.txt"), "content").unwrap();
    std::fs::write(work.path().join("b.txt"), "content").unwrap();
    let pin = server.fingerprint();
    let two_files_one_name = send(&server, work.path(), &["a.txt", "b.txt"], "name", pin);
    let no_fingerprint = send(&server, work.path(), &["a.txt"], "", "aa:bb:cc");
    let url = format!("sftp://{}", server.address());
    let password_in_url = outport(work.path(), ["send", "a.txt", "sftp://me:geheim@127.0.0.1/"]);
    let no_login = outport(work.path(), ["send", "a.txt", &url, "--host-key", pin]);
    for wrong in [two_files_one_name, no_fingerprint, password_in_url, no_login] {
        assert_eq!((wrong.code, wrong.stdout.as_str()), (Some(2), ""), "{wrong:?}");
        assert!(wrong.stderr.contains("error: ") && !wrong.stderr.contains("geheim"), "{wrong:?}");
    }
    assert_eq!((login_requests(&server), names(&server)), (0, vec![]));
}

/// A server whose passwords are asked for by PAM, in keyboard-interactive, and not taken otherwise.
fn asking(more: &[&str]) -> anyhow::Result<OpenSsh> {
    let lines = ["UsePAM yes", "PasswordAuthentication no", "KbdInteractiveAuthentication yes"];
    let lines = lines.iter().chain(more).map(ToString::to_string).chain(log_of_logins()).collect();
    OpenSsh::start(Config { password: true, lines, ..Config::default() })
}

#[test]
fn a_password_answers_a_servers_question_once() {
    let server = need!(asking(&[]));
    let work = tempfile::tempdir().unwrap();
    std::fs::write(work.path().join("a.txt"), "content").unwrap();
    let url = format!("sftp://{}@{}/", server.login().user, server.address());
    let arguments =
        ["send", "a.txt", &url, "--password-from", "env:SECRET", "--host-key", server.fingerprint()];
    let with = |secret: &str| Outport::new(work.path(), arguments).env("SECRET", secret).run().unwrap();

    let wrong = with("wr0ng-battery");
    assert_eq!((wrong.code, wrong.stdout.as_str()), (Some(1), ""), "{wrong:?}");
    assert!(wrong.stderr.contains("[credential.refused]"), "{wrong:?}");
    assert!(wrong.stderr.contains("refused password, keyboard-interactive"), "{wrong:?}");
    assert!(!wrong.stderr.contains("battery"), "{wrong:?}");
    let asked = server.log().matches("Postponed keyboard-interactive").count();
    assert_eq!(asked, 1, "one wrong answer, or accounts get locked: {}", server.log());

    let sent = with(server.login().password.as_deref().unwrap());
    assert_eq!(sent.code, Some(0), "{sent:?} {}", server.log());
    assert_eq!(names(&server), ["a.txt"]);
}

#[test]
fn a_key_and_then_a_question_are_two_factors() {
    let server = need!(asking(&["AuthenticationMethods publickey,keyboard-interactive:pam"]));
    let work = tempfile::tempdir().unwrap();
    std::fs::write(work.path().join("a.txt"), "content").unwrap();
    let url = format!("sftp://{}@{}/", server.login().user, server.address());
    let key = server.key_file().to_str().unwrap();
    let key_alone = ["send", "a.txt", &url, "--identity", key, "--host-key", server.fingerprint()];
    let half = outport(work.path(), key_alone);
    assert_eq!(half.code, Some(1), "{half:?}");
    assert!(half.stderr.contains("it asks for one more method; it offers keyboard-interactive"), "{half:?}");
    assert!(half.stderr.contains("hint: the server asks questions"), "{half:?}");

    let both = key_alone.into_iter().chain(["--password-from", "env:SECRET"]);
    let password = server.login().password.as_deref().unwrap();
    let sent = Outport::new(work.path(), both).env("SECRET", password).run().unwrap();
    assert_eq!(sent.code, Some(0), "{sent:?} {}", server.log());
    assert_eq!(names(&server), ["a.txt"]);
}

#[test]
fn json_becomes_csv_or_nothing() {
    let work = tempfile::tempdir().unwrap();
    let path = |name: &str| work.path().join(name);
    std::fs::write(path("claims.ndjson"), CLAIMS).unwrap();
    let good = outport(work.path(), ["transform", "json-to-csv", "claims.ndjson", "claims.csv"]);
    assert_eq!((good.code, good.stdout.as_str()), (Some(0), ""), "{good:?}");
    assert_eq!(std::fs::read_to_string(path("claims.csv")).unwrap(), CLAIMS_CSV);
    let printed = outport(work.path(), ["transform", "json-to-csv", "claims.ndjson", "-"]);
    assert_eq!((printed.code, printed.stdout.as_str()), (Some(0), CLAIMS_CSV), "{printed:?}");

    std::fs::write(path("broken.json"), "{\"a\":1}\n{\"a\":}\n").unwrap();
    std::fs::write(path("empty.json"), "").unwrap();
    for (input, code) in [("broken.json", "[json.syntax]"), ("empty.json", "[json.empty]")] {
        let bad = outport(work.path(), ["transform", "json-to-csv", input, "out.csv"]);
        assert_eq!((bad.code, bad.stdout.as_str()), (Some(1), ""), "{bad:?}");
        assert!(bad.stderr.contains(code) && bad.stderr.contains("\nhint: "), "{bad:?}");
    }
    let unknown = outport(work.path(), ["transform", "json-to-cvs", "claims.ndjson", "out.csv"]);
    assert_eq!(unknown.code, Some(1), "{unknown:?}");
    assert!(unknown.stderr.contains("json-to-csv"), "no nearest kind: {unknown:?}");
    let mut left: Vec<_> = std::fs::read_dir(work.path()).unwrap().map(|e| e.unwrap().file_name()).collect();
    left.sort();
    assert_eq!(left, ["broken.json", "claims.csv", "claims.ndjson", "empty.json"]);
}
