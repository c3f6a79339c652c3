//! Messages, exit codes and the history of acts.

use std::net::SocketAddr;

use serde_json::Value;

use super::{done, has_line};
use crate::bad_input::site::{Site, refused};

const UNKNOWN: &str = "dlv_01h455vb4pex5vsknk084sn02q";
/// A well-formed fingerprint of no key.
const NOBODYS: &str = "SHA256:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU";

/// Deliveries that wait: their endpoint is paused before they arrive.
fn waiting(keys: &[&str]) -> (Site, Vec<String>) {
    let site = Site::new().set("OUTPORT_ACTOR", "ann");
    done(&site.run(&["endpoint", "pause", "acme/sftp", "--reason", "a test"]));
    {
        let _up = site.up();
        for key in keys {
            site.upload(key, "content");
            site.recorded(key);
        }
    }
    let ids = keys.iter().map(|key| {
        let deliveries = site.deliveries();
        deliveries.iter().find(|d| d["key"] == *key).unwrap()["id"].as_str().unwrap().to_owned()
    });
    let ids = ids.collect();
    (site, ids)
}

fn state(site: &Site, id: &str) -> String {
    site.json(&["delivery", "show", id])["state"].as_str().unwrap().to_owned()
}

#[test]
fn what_cannot_be_understood_is_exit_2_and_touches_nothing() {
    let site = Site::without_definitions();
    let long = "x".repeat(256);
    for verb in ["hold", "release", "cancel", "retry", "resolve"] {
        for arguments in [
            vec![],
            vec![UNKNOWN],
            vec!["--reason", "x"],
            vec![UNKNOWN, "--reason"],
            vec!["nix", "--reason", "x"],
            vec!["fil_01h455vb4pex5vsknk084sn02q", "--reason", "x"],
            // One wrong id, and nothing is done to the right ones.
            vec![UNKNOWN, "end_01h455vb4pex5vsknk084sn02q", "--reason", "x"],
        ] {
            let answer = site.run(&[&["delivery", verb], &arguments[..]].concat());
            assert_eq!((answer.code, answer.stdout.as_str()), (Some(2), ""), "{verb} {arguments:?}");
        }
        for reason in ["", "  \n ", &long] {
            let answer = site.run(&["delivery", verb, UNKNOWN, "--reason", reason]);
            refused(&answer, 2, "usage.invalid", "1 to 255 characters");
        }
    }
    for arguments in [
        &["endpoint", "pause", "acme/sftp"][..],
        &["endpoint", "resume", "acme/sftp"],
        &["endpoint", "accept-key", "acme/sftp", "--reason", "x"],
        &["endpoint", "accept-key", "acme/sftp", "--fingerprint", NOBODYS],
        &["endpoint", "accept-key", "acme/sftp", "--fingerprint", "MD5:1:2", "--reason", "x"],
        &["endpoint", "pause", UNKNOWN, "--reason", "x"],
        &["subscription", "disable", "acme-plain"],
        &["subscription", "enable", UNKNOWN, "--reason", "x"],
        &["subscription", "enable", "acme-plain", "--reason", ""],
        &["problems", "nix"],
        &["why"],
        &["why", ""],
        &["why", "s3://in"],
        &["why", UNKNOWN],
    ] {
        let answer = site.run(arguments);
        assert_eq!((answer.code, answer.stdout.as_str()), (Some(2), ""), "{arguments:?}: {}", answer.stderr);
        let told = ["hint: ", "--help", "Usage: "].iter().any(|help| answer.stderr.contains(help));
        assert!(told, "{arguments:?} leaves one alone: {}", answer.stderr);
    }
    assert!(!site.data().join("outport.db").exists());
}

#[test]
fn what_is_not_there_is_exit_1_with_a_way_to_find_it() {
    let site = Site::new();
    for verb in ["hold", "release", "cancel", "retry", "resolve"] {
        let answer = site.run(&["delivery", verb, UNKNOWN, "--reason", "x"]);
        refused(&answer, 1, "usage.not_found", "outport delivery list");
    }
    for arguments in [
        &["endpoint", "pause", "acme/nix", "--reason", "x"][..],
        &["endpoint", "resume", "end_01h455vb4pex5vsknk084sn02q", "--reason", "x"],
        &["endpoint", "accept-key", "acme/nix", "--fingerprint", NOBODYS, "--reason", "x"],
        &["endpoint", "retry", "acme/nix"],
    ] {
        refused(&site.run(arguments), 1, "usage.not_found", "outport endpoint list");
    }
    let answer = site.run(&["subscription", "enable", "nix", "--reason", "x"]);
    refused(&answer, 1, "usage.not_found", "outport subscription list");
}

#[test]
fn several_ids_are_done_one_by_one_and_said_so() {
    let (site, ids) = waiting(&["1.txt", "2.txt"]);
    let (first, second) = (ids[0].as_str(), ids[1].as_str());
    // The same id twice is one.
    let held = site.run(&["delivery", "hold", first, UNKNOWN, second, first, "--reason", "x"]);
    assert_eq!(held.code, Some(1));
    assert_eq!(held.stdout, format!("{first} held\n{second} held\n"));
    has_line(&held.stderr, &["there is no delivery", UNKNOWN, "[usage.not_found]"]);
    has_line(&held.stderr, &["2 of 3 done"]);
    assert_eq!((state(&site, first), state(&site, second)), ("held".into(), "held".into()));
    assert_eq!(
        done(&site.run(&["delivery", "cancel", first, "--reason", "x"])),
        format!("{first} cancelled\n")
    );
    refused(
        &site.run(&["delivery", "release", first, "--reason", "x"]),
        1,
        "usage.wrong_state",
        "outport replay",
    );
    let released = site.run(&["delivery", "release", second, "--reason", "x"]);
    assert_eq!(done(&released), format!("{second} released, due now\n"));
    has_line(&released.stderr, &["acme/sftp takes nothing now", "paused by operator:ann", "a test"]);
    let hurried = site.run(&["delivery", "retry", second, "--reason", "x"]);
    assert_eq!(done(&hurried), format!("{second} due now\n"));
    refused(
        &site.run(&["delivery", "resolve", second, "--reason", "x"]),
        1,
        "usage.wrong_state",
        "hold, retry or cancel",
    );

    done(&site.run(&["endpoint", "resume", "acme/sftp", "--reason", "the test is over"]));
    let _up = site.up();
    assert_eq!(site.settled("2.txt", 1)[0]["state"], "delivered");
    assert_eq!(site.arrived(), ["2.txt"], "what was cancelled stays here");
}

#[test]
fn a_pause_is_seen_and_ended() {
    let site = Site::new().set("OUTPORT_ACTOR", " ann\u{1b}[31m ");
    let pause = ["endpoint", "pause", "acme/sftp", "--reason", "  their maintenance \u{1b}[2J"];
    assert_eq!(done(&site.run(&pause)), "acme/sftp paused\n");
    refused(&site.run(&pause), 1, "usage.wrong_state", "outport endpoint resume");
    let listed = site.run(&["endpoint", "list"]);
    has_line(done(&listed), &["acme/sftp", "paused by operator:ann[31m"]);
    let shown = site.run(&["endpoint", "show", "acme/sftp"]);
    has_line(done(&shown), &["paused", "their maintenance \\u{1b}[2J"]);
    assert!(!shown.stdout.contains('\u{1b}'));
    assert_eq!(site.json(&["endpoint", "show", "acme/sftp"])["paused_by"], "operator:ann[31m");
    done(&site.run(&["endpoint", "resume", "acme/sftp", "--reason", "over"]));
    let answer = site.run(&["endpoint", "resume", "acme/sftp", "--reason", "over"]);
    refused(&answer, 1, "usage.wrong_state", "outport endpoint retry");
    assert_eq!(site.json(&["endpoint", "show", "acme/sftp"])["paused_by"], Value::Null);
    assert_eq!(done(&site.run(&["endpoint", "retry", "acme/sftp"])), "acme/sftp retried\n");
}

/// The key changes; the operator accepts it; `apply` says what it would take back, until the file has the line.
#[test]
fn an_accepted_key_delivers_and_apply_warns_until_the_file_has_it() {
    let site = Site::without_definitions();
    let real = site.partner().fingerprint().to_string();
    let address: SocketAddr = site.partner().address();
    let wrong = site.definitions(address).replace(&real, NOBODYS);
    let apply = |text: &str, arguments: &[&str]| {
        std::fs::write(site.folder().join("partners.toml"), text).unwrap();
        site.run(&[&["apply"], arguments, &["partners.toml"]].concat())
    };
    done(&apply(&wrong, &[]));
    let _up = site.up();
    site.upload("1.txt", "content");
    crate::bad_input::site::until("the block", || {
        let endpoint = site.json(&["endpoint", "show", "acme/sftp"]);
        if endpoint["blocked_reason"] == "identity" { Ok(()) } else { Err(endpoint.to_string()) }
    });
    let problems = site.run(&["problems"]);
    let moves = format!("outport endpoint accept-key acme/sftp --fingerprint {real} --reason");
    has_line(done(&problems), &["acme/sftp: blocked", &real, "1 delivery waiting", &moves]);

    let accept = ["endpoint", "accept-key", "acme/sftp", "--fingerprint", &real, "--reason", "by telephone"];
    let accepted = site.run(&accept);
    assert_eq!(done(&accepted), format!("acme/sftp accepts {real}\n"));
    let line = format!("host_keys = [\"{NOBODYS}\", \"{real}\"]");
    has_line(&accepted.stderr, &[&line]);
    assert_eq!(site.settled("1.txt", 1)[0]["state"], "delivered");
    refused(&site.run(&accept), 1, "usage.wrong_state", "nothing to do");

    let taken_back = apply(&wrong, &["--check"]);
    has_line(done(&taken_back), &["host_keys:", &real]);
    has_line(&taken_back.stderr, &["warning: ", &real, "accepted for acme/sftp by operator:"]);
    let kept = apply(&wrong.replace(&format!("host_keys = [\"{NOBODYS}\"]"), &line), &["--check"]);
    assert_eq!((done(&kept), kept.stderr.trim()), ("", "nothing to change"));

    let another = NOBODYS.replace('4', "5");
    let odd = site.run(&["endpoint", "accept-key", "acme/sftp", "--fingerprint", &another, "--reason", "x"]);
    assert_eq!(odd.code, Some(0), "{}", odd.stderr);
    assert!(!odd.stderr.contains("warning"), "nothing else was seen: {}", odd.stderr);
}

#[test]
fn a_subscription_is_switched_by_hand_and_apply_leaves_it() {
    let site = Site::new();
    let disabled = site.run(&["subscription", "disable", "acme-plain", "--reason", "contract ended"]);
    assert_eq!(done(&disabled), "acme-plain disabled\n");
    has_line(&disabled.stderr, &["pass it by, for good"]);
    let again = site.run(&["subscription", "disable", "acme-plain", "--reason", "x"]);
    refused(&again, 1, "usage.wrong_state", "nothing to do");
    let applied = site.run(&["apply", "partners.toml"]);
    assert_eq!((done(&applied), applied.stderr.trim()), ("", "nothing to change"));
    assert_eq!(site.json(&["subscription", "show", "acme-plain"])["enabled"], false);
    assert_eq!(
        done(&site.run(&["subscription", "enable", "acme-plain", "--reason", "renewed"])),
        "acme-plain enabled\n"
    );
}
