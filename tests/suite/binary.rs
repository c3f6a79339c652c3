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
    for (signal, code) in [(rustix::process::Signal::TERM, 143), (rustix::process::Signal::INT, 130)] {
        let mut converting = std::process::Command::new(binary())
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
