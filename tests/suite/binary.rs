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
