//! The built binary can be found, run and read.

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
