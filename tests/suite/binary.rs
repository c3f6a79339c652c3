//! The built binary can be found, run and read.

use std::os::unix::fs::PermissionsExt;

use outport_tests::process::Outport;

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
