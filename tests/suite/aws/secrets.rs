//! Secrets of Secrets Manager: read where they are needed, shown nowhere, and a new version frees a blocked lane.

use outport_tests::need;
use outport_tests::servers::cloud::Cloud;
use outport_tests::servers::openssh::{Config, OpenSsh};
use outport_tests::site::{Login, Partner, Site};

use crate::e2e::on_both;

on_both!(a_new_version_frees_the_lane, a_key_of_a_json_secret, a_secret_that_is_not_there);

fn client(cloud: &Cloud) -> aws_sdk_secretsmanager::Client {
    aws_sdk_secretsmanager::Client::new(&cloud.sdk)
}

fn a_new_version_frees_the_lane(site: Site) {
    let cloud = need!(Cloud::start());
    let server = need!(OpenSsh::start(Config { password: true, ..Config::default() }));
    let site = cloud.settings(site);
    let secrets = client(&cloud);
    cloud
        .wait(secrets.create_secret().name("outport/acme").secret_string("not the password").send())
        .unwrap();
    let login = Login::PasswordAt("aws-sm:outport/acme".to_owned());
    site.apply(&[Partner::at("acme", &server).login(login)]).unwrap();
    cloud.upload("a.txt", b"a").unwrap();
    let mut up = site.up().unwrap();
    let blocked = site.wait_for_endpoint("acme/sftp", 60, |e| e["blocked_reason"] == "credential").unwrap();
    assert_eq!(blocked["login_strikes"], 2, "{blocked:#}");
    let right = server.login().password.clone().unwrap();
    cloud.wait(secrets.put_secret_value().secret_id("outport/acme").secret_string(&right).send()).unwrap();
    // The maintainer looks every 30 s by the real clock.
    let deliveries = site.wait_for_all(1, 120).unwrap();
    let shown = site.json(["delivery", "show", deliveries[0]["id"].as_str().unwrap()]).unwrap();
    for secret in [right.as_str(), "not the password"] {
        assert!(!up.log().contains(secret) && !shown.to_string().contains(secret));
    }
    assert_eq!(server.log().matches("Failed password for").count(), 2, "{}", server.log());
    assert_eq!(up.stop(site.limit(30)).unwrap().code(), Some(0), "{}", up.log());
    site.assert_invariants().unwrap();
}

fn a_key_of_a_json_secret(site: Site) {
    let cloud = need!(Cloud::start());
    let server = need!(OpenSsh::start(Config::default()));
    let site = cloud.settings(site);
    let key = std::fs::read_to_string(server.key_file()).unwrap();
    let secret = serde_json::json!({"key": key, "other": 7}).to_string();
    cloud.wait(client(&cloud).create_secret().name("outport/acme").secret_string(secret).send()).unwrap();
    let login = Login::KeyAt("aws-sm:outport/acme#key".to_owned());
    site.apply(&[Partner::at("acme", &server).login(login)]).unwrap();
    for n in 0..20 {
        cloud.upload(&format!("{n}.txt"), b"x").unwrap();
    }
    let mut up = site.up().unwrap();
    site.wait_for_all(20, 60).unwrap();
    let asked = cloud.requests().iter().filter(|request| request.starts_with("POST / ")).count();
    // Queue and secrets come by the same path; what counts is that twenty files are not twenty questions.
    assert!(asked > 0);
    let online = site.json(["config", "check", "--online"]).unwrap();
    let of_acme =
        online.as_array().unwrap().iter().find(|a| a["what"] == "the secrets of acme/sftp").unwrap();
    assert_eq!(of_acme["result"], "ok", "{online:#}");
    assert_eq!(up.stop(site.limit(30)).unwrap().code(), Some(0), "{}", up.log());
}

fn a_secret_that_is_not_there(site: Site) {
    let cloud = need!(Cloud::start());
    let server = need!(OpenSsh::start(Config::default()));
    let site = cloud.settings(site);
    let login = Login::PasswordAt("aws-sm:outport/acme#password".to_owned());
    site.apply(&[Partner::at("acme", &server).login(login)]).unwrap();
    cloud.upload("a.txt", b"a").unwrap();
    let mut up = site.up().unwrap();
    let waiting = site
        .wait_for_delivery("a.txt", "acme/sftp", 60, |d| d["fault_code"] == "credential.missing")
        .unwrap();
    let fault = waiting["fault"].as_str().unwrap();
    assert!(fault.contains("outport/acme") && fault.contains("hint: "), "{fault}");
    let online = site.outport(["config", "check", "--online"]).run().unwrap();
    assert_eq!(online.code, Some(1), "{online:?}");
    assert!(online.stdout.contains("credential.missing"), "{online:?}");
    assert_eq!(up.stop(site.limit(30)).unwrap().code(), Some(0), "{}", up.log());
}
