//! What no parser knows ends in the dead letters, stops nobody, and can be sent again.

use outport_tests::need;
use outport_tests::servers::cloud::Cloud;
use outport_tests::servers::openssh::{Config, OpenSsh};
use outport_tests::site::{Partner, Site};

use super::until;
use crate::e2e::on_both;

on_both!(poison_goes_to_the_dead_letters_and_back);

fn poison_goes_to_the_dead_letters_and_back(site: Site) {
    let cloud = need!(Cloud::start());
    let server = need!(OpenSsh::start(Config::default()));
    let site = cloud.settings(site);
    site.apply(&[Partner::at("acme", &server)]).unwrap();
    let poison = "{\"patient\": \"Anna\"}";
    cloud.say(poison).unwrap();
    cloud.say("not even JSON").unwrap();
    cloud.upload("a.txt", b"others flow").unwrap();
    let mut up = site.up().unwrap();
    site.wait_for_state("a.txt", "acme/sftp", "delivered", 0).unwrap();
    until(&site, "the poison is not in the dead letters", || {
        cloud.messages(cloud.dead_letters()).unwrap() == 2 && cloud.messages(cloud.queue()).unwrap() == 0
    });
    assert!(up.counter("outport_intake_unreadable_total").unwrap() >= 6, "three times each");
    assert!(!up.log().contains("Anna"), "contents are not logged");

    let listed = site.json(["intake", "dlq", "list"]).unwrap();
    let listed = listed.as_array().unwrap();
    assert_eq!(listed.len(), 2, "{listed:?}");
    assert!(listed.iter().any(|m| m["what"].as_str().unwrap().contains("no envelope that is known")));
    assert!(!format!("{listed:?}").contains("Anna"), "{listed:?}");
    let again = site.json(["intake", "dlq", "list"]).unwrap();
    assert_eq!(again.as_array().unwrap().len(), 2, "looking takes nothing away: {again}");

    let unknown = site.outport(["intake", "dlq", "requeue", "no-such-id"]).run().unwrap();
    assert_eq!(unknown.code, Some(1), "{unknown:?}");
    assert!(unknown.stderr.contains("no-such-id") && unknown.stderr.contains("hint: "), "{unknown:?}");
    assert_eq!(up.stop(site.limit(30)).unwrap().code(), Some(0), "{}", up.log());
    let one = listed[0]["id"].as_str().unwrap();
    let requeued = site.done(["intake", "dlq", "requeue", one]).unwrap();
    assert_eq!(requeued.stdout, "1 requeued\n");
    assert_eq!(
        (cloud.messages(cloud.dead_letters()).unwrap(), cloud.messages(cloud.queue()).unwrap()),
        (1, 1)
    );
    site.done(["intake", "dlq", "requeue", "--all"]).unwrap();
    assert_eq!(
        (cloud.messages(cloud.dead_letters()).unwrap(), cloud.messages(cloud.queue()).unwrap()),
        (0, 2)
    );
}
