//! What operators do by hand, on the built binary: acts, `problems`, `why`.

mod acts;
mod cancel;
mod notices;
mod problems;
mod simulate;
mod why;

use outport_tests::process::Finished;

/// What a command that has to succeed printed.
#[track_caller]
fn done(finished: &Finished) -> &str {
    assert_eq!(finished.code, Some(0), "{}", finished.stderr);
    &finished.stdout
}

/// Fails unless some line has all of these.
#[track_caller]
fn has_line(text: &str, parts: &[&str]) {
    let found = text.lines().any(|line| parts.iter().all(|part| line.contains(part)));
    assert!(found, "no line with {parts:?} in:\n{text}");
}
