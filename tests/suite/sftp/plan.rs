//! Every option of the upload plan on OpenSSH, once by hand and, where the engine has a part in it, through the engine.

use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use outport_tests::need;
use outport_tests::process::{Finished, Outport};
use outport_tests::servers::openssh::{Config, OpenSsh};
use outport_tests::site::{Partner, Site, definitions};
use sha2::{Digest, Sha256};

/// `outport send a.csv URL FLAGS...`
fn send(server: &OpenSsh, work: &Path, path: &str, flags: &[&str]) -> Finished {
    let url = format!("sftp://{}@{}/{path}", server.login().user, server.address());
    let key = server.key_file().to_str().unwrap();
    let login = ["--identity", key, "--host-key", server.fingerprint()];
    let all = ["send", "a.csv", &url].into_iter().chain(login).chain(flags.iter().copied());
    Outport::new(work, all).run().unwrap()
}

fn work(content: &str) -> tempfile::TempDir {
    let work = tempfile::tempdir().unwrap();
    std::fs::write(work.path().join("a.csv"), content).unwrap();
    work
}

fn names(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).unwrap();
    let mut names: Vec<String> = entries.map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[track_caller]
fn sent(finished: &Finished) {
    assert_eq!((finished.code, finished.stderr.as_str()), (Some(0), ""), "{finished:?}");
}

#[track_caller]
fn refused(finished: &Finished, code: &str) {
    assert_eq!((finished.code, finished.stdout.as_str()), (Some(1), ""), "{finished:?}");
    assert!(finished.stderr.contains(&format!("[{code}]\nhint: ")), "{finished:?}");
}

/// A server that answers some requests with "permission denied".
fn refusing(sftp_options: &'static str) -> anyhow::Result<OpenSsh> {
    OpenSsh::start(Config { sftp_options, ..Config::default() })
}

#[test]
fn each_option_does_what_it_says() {
    let server = need!(OpenSsh::start(Config::default()));
    let work = work("id\n1\n");
    let read = |name: &str| std::fs::read_to_string(server.folder().join(name)).unwrap();

    refused(&send(&server, work.path(), "new/deep/", &[]), "remote.no_such_folder");
    sent(&send(&server, work.path(), "new/deep/", &["--mkdirs"]));
    sent(&send(&server, work.path(), "new/deeper/", &["--mkdirs", "--direct"]));
    assert_eq!((read("new/deep/a.csv"), read("new/deeper/a.csv")), ("id\n1\n".into(), "id\n1\n".into()));

    sent(&send(&server, work.path(), "", &["--verify", "read-back", "--fsync", "--mode", "0600"]));
    assert_eq!(server.folder().join("a.csv").metadata().unwrap().mode() & 0o777, 0o600);
    refused(&send(&server, work.path(), "", &["--verify", "checksum"]), "remote.unsupported");
    sent(&send(&server, work.path(), "", &["--verify", "list", "--keep-mtime", "--mode", "640"]));
    let (here, there) = (work.path().join("a.csv"), server.folder().join("a.csv"));
    assert_eq!(here.metadata().unwrap().mtime(), there.metadata().unwrap().mtime());

    std::fs::write(&here, "other\n").unwrap();
    for direct in [&["--on-existing", "fail"][..], &["--on-existing", "fail", "--direct"]] {
        refused(&send(&server, work.path(), "", direct), "remote.exists");
        assert_eq!(read("a.csv"), "id\n1\n");
    }
    let second = send(&server, work.path(), "", &["--on-existing", "unique"]);
    sent(&second);
    assert!(second.stdout.starts_with("a-2.csv 6 bytes"), "{second:?}");
    sent(&send(&server, work.path(), "", &["--on-existing", "unique", "--direct"]));
    assert_eq!(
        (read("a.csv"), read("a-2.csv"), read("a-3.csv")),
        ("id\n1\n".into(), "other\n".into(), "other\n".into())
    );
    sent(&send(&server, work.path(), "", &["--direct", "--verify", "none"]));
    assert_eq!(read("a.csv"), "other\n");

    sent(&send(&server, work.path(), "", &["--checksum", "{name}.sha256", "--trigger", "{stem}.done"]));
    let sum: String = Sha256::digest("other\n").iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!((read("a.csv.sha256"), read("a.done")), (format!("{sum}  a.csv\n"), String::new()));
    assert_eq!(names(server.folder()), ["a-2.csv", "a-3.csv", "a.csv", "a.csv.sha256", "a.done", "new"]);
}

#[test]
fn wrong_flags_end_with_2_before_anything_is_sent() {
    let server = need!(OpenSsh::start(Config::default()));
    let work = work("id\n1\n");
    for flags in [
        &["--trigger", "{name}"][..],
        &["--trigger", "{nam}.done"],
        &["--trigger", "{name}.x", "--checksum", "{name}.x"],
        &["--verify", "size"],
        &["--on-existing", "keep"],
        &["--mode", "rw"],
    ] {
        let wrong = send(&server, work.path(), "", flags);
        assert_eq!((wrong.code, wrong.stdout.as_str()), (Some(2), ""), "{wrong:?}");
    }
    assert_eq!(names(server.folder()), Vec::<String>::new());
}

#[test]
fn folders_that_may_not_be_written_or_not_be_read() {
    let server = need!(OpenSsh::start(Config::default()));
    let work = work("id\n1\n");
    let mode =
        |mode| std::fs::set_permissions(server.folder(), std::fs::Permissions::from_mode(mode)).unwrap();
    mode(0o555);
    refused(&send(&server, work.path(), "", &[]), "remote.permission_denied");
    mode(0o333);
    sent(&send(&server, work.path(), "", &[]));
    refused(&send(&server, work.path(), "", &["--verify", "list"]), "remote.permission_denied");
    mode(0o755);
    assert_eq!(names(server.folder()), ["a.csv"]);
}

/// A site with one partner whose endpoint has this upload plan, and these settings.
fn site_with(server: &OpenSsh, upload: &str, settings: &str) -> anyhow::Result<Site> {
    let site = Site::on_sqlite()?;
    apply(&site, server, upload, settings)?;
    Ok(site)
}

fn apply(site: &Site, server: &OpenSsh, upload: &str, settings: &str) -> anyhow::Result<()> {
    let sections = format!(
        "[subscriber.endpoint.settings]\n{settings}\n[subscriber.endpoint.upload]\n{upload}\n\n[[subscription]]"
    );
    let text = definitions(&[Partner::at("acme", server)]).replacen("[[subscription]]", &sections, 1);
    let file = site.write("partners.toml", text)?;
    site.done(["apply", file.to_str().unwrap()]).map(|_| ())
}

#[test]
fn a_drop_box_is_written_without_a_look() {
    let server = need!(refusing("-P stat,lstat,fstat,opendir,readdir,remove,read"));
    let site =
        need!(site_with(&server, "write_only = true\nverify = \"none\"\ntrigger = \"{name}.done\"", ""));
    let mut up = site.up().unwrap();
    site.put("a.txt", "content").unwrap();
    let delivery = site.wait_for_state("a.txt", "acme/sftp", "delivered", 60).unwrap();
    assert_eq!(delivery["possible_duplicate"], false, "{delivery:#}");
    assert_eq!(std::fs::read(server.folder().join("a.txt")).unwrap(), b"content");
    assert_eq!(names(server.folder()), ["a.txt", "a.txt.done"]);
    // The default plan looks, and says what it may not do.
    apply(&site, &server, "", "").unwrap();
    site.put("b.txt", "content").unwrap();
    let failed = site.wait_for_delivery("b.txt", "acme/sftp", 120, |d| d["fault"].is_string()).unwrap();
    assert_eq!(failed["fault_code"], "remote.permission_denied", "{failed:#}");
    assert_eq!(up.stop(site.limit(30)).unwrap().code(), Some(0), "{}", up.log());
}

#[test]
fn a_server_that_renames_nothing_takes_direct_files() {
    let server = need!(refusing("-P rename,posix-rename"));
    let work = work("id\n1\n");
    refused(&send(&server, work.path(), "", &[]), "remote.permission_denied");
    assert_eq!(names(server.folder()), Vec::<String>::new(), "the temp file is removed");
    sent(&send(&server, work.path(), "", &["--direct"]));
    assert_eq!(names(server.folder()), ["a.csv"]);
}

#[test]
fn temp_files_have_the_name_and_folder_of_the_plan() {
    let server = need!(OpenSsh::start(Config::default()));
    let upload = "temp = \"up-{delivery}-{attempt}\"\ntemp_folder = \"work/tmp\"\nmkdirs = true\nchecksum = \"{name}.sha256\"";
    let site = need!(site_with(&server, upload, "max_bytes_per_second = 1000000"));
    let mut up = site.up().unwrap();
    site.put("a.bin", vec![7; 3_000_000]).unwrap();
    let temp = wait_for_temp(&server.folder().join("work/tmp"), "up-", 1, site.limit(60));
    assert!(temp.to_str().unwrap().ends_with("-1"), "{}", temp.display());
    site.wait_for_state("a.bin", "acme/sftp", "delivered", 60).unwrap();
    assert_eq!(names(server.folder()), ["a.bin", "a.bin.sha256", "work"]);
    assert_eq!(names(&server.folder().join("work/tmp")), Vec::<String>::new());
    assert_eq!(up.stop(site.limit(30)).unwrap().code(), Some(0), "{}", up.log());
    site.assert_invariants().unwrap();
}

/// Waits until a file whose name begins so has more than `size` bytes.
fn wait_for_temp(folder: &Path, begins: &str, size: u64, limit: Duration) -> PathBuf {
    let until = Instant::now() + limit;
    loop {
        let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
        let mut of_size = entries.filter(|entry| entry.metadata().is_ok_and(|meta| meta.len() > size));
        if let Some(found) = of_size.find(|entry| entry.file_name().to_string_lossy().starts_with(begins)) {
            return found.path();
        }
        assert!(Instant::now() < until, "no {begins}* of {size} bytes in {}", folder.display());
        std::thread::yield_now();
    }
}

#[test]
fn an_upload_that_a_killed_server_broke_off_is_gone_on_with() {
    let mut server = need!(OpenSsh::start(Config::default()));
    let content: Vec<u8> =
        (0..24 << 20).map(|at: u32| (at.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    let site = need!(site_with(&server, "resume = true", "max_bytes_per_second = 6000000"));
    let mut up = site.up().unwrap();
    site.put("large.bin", &content).unwrap();
    let temp = wait_for_temp(server.folder(), ".large.bin.", 8 << 20, site.limit(60));
    server.stop().unwrap();
    let broken = temp.metadata().unwrap();
    assert!(broken.len() < content.len() as u64, "it was sent before the server was killed");
    server.start_again().unwrap();
    let delivery = site.wait_for_state("large.bin", "acme/sftp", "delivered", 300).unwrap();
    let arrived = server.folder().join("large.bin");
    // The same file of the file system: what was there was kept, and only the rest was sent.
    assert_eq!(arrived.metadata().unwrap().ino(), broken.ino(), "{delivery:#}");
    assert!(std::fs::read(&arrived).unwrap() == content);
    assert_eq!(names(server.folder()), ["large.bin"]);
    assert_eq!(up.stop(site.limit(30)).unwrap().code(), Some(0), "{}", up.log());
    site.assert_invariants().unwrap();
}

#[test]
fn a_trigger_that_is_refused_does_not_send_the_file_again() {
    let server = need!(OpenSsh::start(Config::default()));
    // A folder in the trigger's place: it can be made neither now nor later.
    std::fs::create_dir(server.folder().join("a.txt.done")).unwrap();
    let site = need!(site_with(&server, "trigger = \"{name}.done\"", ""));
    let mut up = site.up().unwrap();
    site.put("a.txt", "content").unwrap();
    let failed = site.wait_for_delivery("a.txt", "acme/sftp", 60, |d| d["fault"].is_string()).unwrap();
    assert!(failed["fault"].as_str().unwrap().contains("is delivered, its trigger is not"), "{failed:#}");
    let first = server.folder().join("a.txt").metadata().unwrap();
    let again = |d: &serde_json::Value| d["attempts"].as_i64() > failed["attempts"].as_i64();
    let failed =
        site.wait_for_delivery("a.txt", "acme/sftp", 600, |d| again(d) && d["fault"].is_string()).unwrap();
    let second = server.folder().join("a.txt").metadata().unwrap();
    assert_eq!((first.ino(), first.mtime_nsec()), (second.ino(), second.mtime_nsec()), "{failed:#}");
    assert_eq!(up.stop(site.limit(30)).unwrap().code(), Some(0), "{}", up.log());
    site.assert_invariants().unwrap();
}

#[test]
fn plans_that_contradict_themselves_are_not_applied() {
    let server = need!(OpenSsh::start(Config::default()));
    for (upload, settings, part) in [
        ("rename = \"none\"", "", "temp name"),
        ("temp = \"{name}.part\"", "", "{delivery}"),
        ("write_only = true", "", "verify"),
        ("resume = true", "second_channel = true", "second_channel"),
        ("verify = \"size\"", "", "read-back"),
        ("tmp = \"x\"", "", "tmp"),
    ] {
        let problem = need!(site_with(&server, "", "").map(|site| apply(&site, &server, upload, settings)));
        let problem = format!("{:#}", problem.unwrap_err());
        assert!(problem.contains(part) && problem.contains("config."), "{upload}: {problem}");
    }
    let site = need!(site_with(&server, "trigger = \"{name}.done\"", ""));
    let shown = site.json(["endpoint", "show", "acme/sftp"]).unwrap();
    assert_eq!(shown["upload"], serde_json::json!({"trigger": "{name}.done"}), "{shown:#}");
}
