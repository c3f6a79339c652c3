//! The built binary can be found, run and read.

use std::io::{Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::time::{Duration, Instant};

use outport_tests::process::{Outport, binary};

#[test]
fn the_binary_runs_and_its_streams_are_told_apart() {
    let folder = tempfile::tempdir().unwrap();
    let help = Outport::new(folder.path(), ["--help"]).run().unwrap();
    assert_eq!((help.code, help.stderr.as_str()), (Some(0), ""));
    assert!(help.stdout.contains("outport"), "{}", help.stdout);

    let wrong = Outport::new(folder.path(), ["--no-such-option"]).run().unwrap();
    assert_eq!((wrong.code, wrong.stdout.as_str()), (Some(2), ""));
    assert!(wrong.stderr.contains("--no-such-option"), "{}", wrong.stderr);
}

#[test]
fn nobody_else_reads_who_gets_which_file() {
    let folder = tempfile::tempdir().unwrap();
    let made = Outport::new(folder.path(), ["migrate"]).env("OUTPORT_DATA", folder.path()).run().unwrap();
    assert_eq!(made.code, Some(0), "{}", made.stderr);
    let mode = folder.path().join("outport.db").metadata().unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
}

#[test]
fn a_contract_is_written_from_one_day_and_refuses_another() {
    let folder = tempfile::tempdir().unwrap();
    let run = |arguments: &[&str]| Outport::new(folder.path(), arguments).run().unwrap();
    std::fs::write(folder.path().join("monday.json"), r#"[{"id":1,"amount":1.50},{"id":2,"amount":3}]"#)
        .unwrap();
    std::fs::write(folder.path().join("tuesday.json"), r#"[{"id":3,"amount":2.5},{"id":4,"amount":"N/A"}]"#)
        .unwrap();

    let shown = run(&["transform", "json-to-csv", "--infer", "monday.json"]);
    assert_eq!(shown.code, Some(0), "{}", shown.stderr);
    let written = run(&["transform", "json-to-csv", "--infer", "monday.json", "contract.toml"]);
    assert_eq!((written.code, written.stdout.as_str()), (Some(0), ""), "{}", written.stderr);
    assert_eq!(std::fs::read_to_string(folder.path().join("contract.toml")).unwrap(), shown.stdout);

    let by_contract = |input| run(&["transform", "json-to-csv", "--spec", "contract.toml", input, "-"]);
    let monday = by_contract("monday.json");
    assert_eq!((monday.code, monday.stdout.as_str()), (Some(0), "id,amount\n1,1.50\n2,3.00\n"));
    let tuesday = by_contract("tuesday.json");
    assert_eq!(tuesday.code, Some(1));
    let difference =
        "column \"amount\": expected decimal(2), found text of 3 characters (letters, punctuation)";
    assert!(tuesday.stderr.contains(difference), "{}", tuesday.stderr);
    assert!(!tuesday.stderr.contains("N/A"), "{}", tuesday.stderr);
}

#[test]
fn a_signal_leaves_neither_output_nor_what_was_begun() {
    let folder = tempfile::tempdir().unwrap();
    let pipe = folder.path().join("pipe");
    rustix::fs::mkfifoat(rustix::fs::CWD, &pipe, rustix::fs::Mode::from_raw_mode(0o600)).unwrap();
    std::fs::write(folder.path().join("out.csv"), "of yesterday").unwrap();
    use rustix::process::Signal;
    for (signal, code) in [(Signal::TERM, 143), (Signal::INT, 130), (Signal::HUP, 129)] {
        // Under `nohup`, which the tests may run under, SIGHUP would not be heard.
        let mut converting = std::process::Command::new("env")
            .arg("--default-signal=HUP")
            .arg(binary())
            .args(["transform", "json-to-csv", "pipe", "out.csv"])
            .current_dir(folder.path())
            .stderr(std::process::Stdio::piped())
            .spawn()
            .unwrap();
        // Both ends, so that opening does not wait; it waits for more than it gets.
        let mut writer = std::fs::File::options().read(true).write(true).open(&pipe).unwrap();
        writer.write_all(b"{\"id\":1}\n").unwrap();
        let names = || {
            let entries = std::fs::read_dir(folder.path()).unwrap();
            let mut names: Vec<String> =
                entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
            names.sort();
            names
        };
        let started = Instant::now();
        while names().len() == 2 && started.elapsed() < Duration::from_secs(30) {
            std::thread::sleep(Duration::from_millis(10));
        }
        assert_eq!(names().len(), 3, "{:?}", names());
        let pid = rustix::process::Pid::from_child(&converting);
        rustix::process::kill_process(pid, signal).unwrap();
        let status = converting.wait().unwrap();
        let mut told = String::new();
        converting.stderr.take().unwrap().read_to_string(&mut told).unwrap();
        assert_eq!(status.code(), Some(code), "{told}");
        assert_eq!(told, "ended by a signal; no file was written or replaced\n");
        assert_eq!(names(), ["out.csv", "pipe"]);
        assert_eq!(std::fs::read_to_string(folder.path().join("out.csv")).unwrap(), "of yesterday");
    }
}

#[test]
fn what_is_read_is_not_written_over() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let spec = "[errors]\npolicy = \"quarantine\"\nmax_bad = 1\n";
    std::fs::write(path("in.json"), "{\"id\":1}\n").unwrap();
    std::fs::write(path("spec.toml"), spec).unwrap();
    std::os::unix::fs::symlink("in.json", path("link")).unwrap();
    for (arguments, told) in [
        (&["in.json", "./in.json"][..], "./in.json would be the input and the output"),
        (&["in.json", "link"], "link would be the input and the output"),
        (&["in.json", "in.json", "--infer"], "in.json would be the input and the output"),
        (&["in.json", "spec.toml", "--spec", "spec.toml"], "spec.toml would be the spec and the output"),
        (
            &["in.json", "out.csv", "--spec", "spec.toml", "--rejects", "spec.toml"],
            "spec.toml would be the spec and the file of rejects",
        ),
        (
            &["link", "out.csv", "--spec", "spec.toml", "--rejects", "in.json"],
            "in.json would be the input and the file of rejects",
        ),
    ] {
        let arguments = [&["transform", "json-to-csv"], arguments].concat();
        let ended = Outport::new(folder.path(), &arguments).run().unwrap();
        let said = ended.stderr;
        assert_eq!(ended.code, Some(2), "{arguments:?}: {said}");
        assert!(
            said.starts_with(&format!("error: {told} [usage.invalid]\nhint: name another file")),
            "{said}"
        );
        assert_eq!(std::fs::read_to_string(path("in.json")).unwrap(), "{\"id\":1}\n");
        assert_eq!(std::fs::read_to_string(path("spec.toml")).unwrap(), spec);
        assert!(!path("out.csv").exists());
    }
}

#[test]
fn messages_name_the_file_that_they_are_about() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    std::fs::write(path("in.json"), "{\"id\":1}\n{\"id\":}\n").unwrap();
    std::fs::write(path("spec.toml"), "[output]\ndelimeter = \";\"\n").unwrap();
    std::fs::write(path("twice.json"), "{\"output\":{\"bom\":true,\"bom\":false}}").unwrap();
    let convert = |arguments: &[&str]| {
        let arguments = [&["transform", "json-to-csv"], arguments].concat();
        Outport::new(folder.path(), arguments).run().unwrap().stderr
    };
    let said = convert(&["in.json", "-"]);
    assert!(said.starts_with("error: in.json: could not convert record 2 "), "{said}");
    let said = convert(&["in.json", "-", "--spec", "spec.toml"]);
    let told = "error: spec.toml: could not read the json-to-csv spec: [output] has no key `delimeter`";
    assert!(said.starts_with(told), "{said}");
    let said = convert(&["in.json", "-", "--spec", "twice.json"]);
    let told = "error: could not read the spec twice.json: the key \"bom\" stands twice at line 1 ";
    assert!(said.starts_with(told) && said.contains("[config.unreadable]"), "{said}");
    let shown = Outport::new(
        folder.path(),
        ["transform", "json-to-csv", "in.json", "--explain", "--spec", "apart.toml"],
    );
    std::fs::write(path("apart.toml"), "[errors]\npolicy = \"quarantine\"\nmax_bad = 1\n").unwrap();
    let shown = shown.run().unwrap();
    let told = "# The first rows of in.json, 1 of its records rejected so far:\nid\n1\n";
    assert!(shown.stdout.ends_with(told), "{}{}", shown.stdout, shown.stderr);
    let said = convert(&[".", "-"]);
    assert!(said.starts_with("error: .: could not read the transform's input: "), "{said}");
}
