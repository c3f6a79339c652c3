//! Wrong words on the command line, ids of nothing, readers that go away.

use std::fs::File;
use std::process::{Command, Stdio};

use outport_tests::process::binary;

use crate::bad_input::site::{Site, refused};

#[test]
fn wrong_usage_is_exit_2_and_touches_nothing() {
    let site = Site::without_definitions();
    for arguments in [
        &[][..],
        &["nix"],
        &["up", "--nix"],
        &["up", "--roles", "nix"],
        &["up", "nix"],
        &["apply"],
        &["put", "x"],
        &["file"],
        &["file", "show"],
        &["file", "show", "nix"],
        &["file", "show", "dlv_01h455vb4pex5vsknk084sn02q"],
        &["file", "list", "--state", "nix"],
        &["file", "list", "--limit", "0"],
        &["file", "list", "--limit", "many"],
        &["delivery", "show", "dlv_123"],
        &["delivery", "show", "../../etc/passwd"],
        &["delivery", "list", "--state", "nix"],
        &["transform"],
        &["transform", "list", "--state", "nix"],
        &["transform", "json-to-csv", "only-one"],
        &["transform", "json-to-csv", "--infer"],
        &["transform", "csv-to-json", "--infer", "only-one"],
        &["send", "x"],
        &["send", "x", "ftp://host/"],
        &["send", "x", "sftp://u@host/"],
        &["send", "x", "sftp://u:hunter-2@host/"],
        &["config", "nix"],
    ] {
        let answer = site.run(arguments);
        assert_eq!((answer.code, answer.stdout.as_str()), (Some(2), ""), "{arguments:?}: {}", answer.stderr);
        let told = ["hint: ", "--help", "Usage: "].iter().any(|help| answer.stderr.contains(help));
        assert!(told, "{arguments:?} leaves one alone: {}", answer.stderr);
        assert!(!answer.stderr.contains("hunter"), "{}", answer.stderr);
    }
    assert!(!site.data().join("outport.db").exists());
}

#[test]
fn what_is_not_there_is_exit_1_with_a_way_to_find_it() {
    let site = Site::new();
    for (noun, name) in [
        ("file", "fil_01h455vb4pex5vsknk084sn02q"),
        ("delivery", "dlv_01h455vb4pex5vsknk084sn02q"),
        ("transform", "trf_01h455vb4pex5vsknk084sn02q"),
        ("endpoint", "acme/nix"),
        ("endpoint", "' OR 1=1 --"),
        ("subscription", "nix"),
    ] {
        let hint = format!("outport {noun} list");
        refused(&site.run(&[noun, "show", name]), 1, "usage.not_found", &hint);
        refused(&site.run(&[noun, "show", name, "--json"]), 1, "usage.not_found", &hint);
    }
    for arguments in [
        &["file", "list", "--bucket", "nix"][..],
        &["file", "list", "--key", "' OR 1=1 --"],
        &["delivery", "list", "--endpoint", "nix"],
    ] {
        assert_eq!(site.json(arguments), serde_json::json!([]));
    }
}

#[test]
fn every_read_prints_one_json_document() {
    let site = Site::new();
    let _up = site.up();
    site.upload("a\u{1b}b.txt", "rejected");
    site.upload("a \"quoted\".txt", "sent");
    site.upload("bad.json", "{");
    site.settled("a \"quoted\".txt", 1);
    site.settled("bad.json", 1);
    site.recorded("a\u{1b}b.txt");
    for noun in ["file", "delivery", "transform", "endpoint", "subscription"] {
        let list = site.json(&[noun, "list"]);
        for row in list.as_array().unwrap() {
            let name = ["code", "name", "id"].iter().find_map(|field| row[*field].as_str()).unwrap();
            let shown = site.json(&[noun, "show", name]);
            assert!(shown["id"].is_string(), "{noun} {name}: {shown:#}");
        }
        assert!(!list.as_array().unwrap().is_empty(), "{noun}");
    }
    assert!(site.json(&["config", "check"]).is_array());
}

#[test]
fn a_reader_that_goes_away_is_no_fault() {
    let site = Site::new();
    std::fs::write(site.folder().join("many.ndjson"), "{\"a\":1}\n".repeat(200_000)).unwrap();
    for arguments in [
        &["config", "check"][..],
        &["config", "check", "--json"],
        &["endpoint", "list"],
        &["--help"],
        &["transform", "json-to-csv", "many.ndjson", "-"],
    ] {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let mut command = Command::new(binary());
        let command = command.args(arguments).current_dir(site.folder()).env("OUTPORT_DATA", site.data());
        let ended = command.stdout(writer).stderr(Stdio::piped()).output().unwrap();
        let said = String::from_utf8_lossy(&ended.stderr);
        assert!(!said.contains("panicked") && !said.contains("Broken pipe"), "{arguments:?}: {said}");
        assert_eq!(ended.status.code(), Some(0), "{arguments:?}: {said}");
        // Nobody reads the messages either.
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let ended = command.stdout(Stdio::null()).stderr(writer).status().unwrap();
        assert_eq!(ended.code(), Some(0), "{arguments:?}");
    }
}

#[test]
fn output_that_cannot_be_written_is_told() {
    let site = Site::new();
    for arguments in [&["endpoint", "list"][..], &["endpoint", "list", "--json"], &["config", "check"]] {
        let mut command = Command::new(binary());
        command.args(arguments).current_dir(site.folder()).env("OUTPORT_DATA", site.data());
        let full = File::options().write(true).open("/dev/full").unwrap();
        let ended = command.stdout(full).stderr(Stdio::piped()).output().unwrap();
        let said = String::from_utf8_lossy(&ended.stderr);
        assert_eq!(ended.status.code(), Some(1), "{said}");
        assert!(said.contains("[local.io_failed]") && said.contains("No space left"), "{said}");
    }
}

#[test]
fn up_goes_on_when_nobody_reads_its_log() {
    let site = Site::new();
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let mut command = Command::new(binary());
    command
        .arg("up")
        .current_dir(site.folder())
        .env("OUTPORT_DATA", site.data())
        .env("OUTPORT_HEALTH_LISTEN", "");
    let mut up = command.stdout(Stdio::null()).stderr(writer).spawn().unwrap();
    site.upload("a.txt", "content");
    let settled = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| site.settled("a.txt", 1)));
    let ended = up.try_wait().unwrap();
    up.kill().unwrap();
    up.wait().unwrap();
    assert_eq!(settled.unwrap()[0]["state"], "delivered");
    assert_eq!(ended, None);
}
