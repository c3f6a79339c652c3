//! Two proofs, and the order of logins, as an endpoint has them.

use outport_tests::need;
use outport_tests::servers::openssh::{Config, OpenSsh};
use outport_tests::site::{Login, Partner, Site};

use super::lines;

/// A server that takes passwords and logs every try.
fn server(more: &[&str]) -> anyhow::Result<OpenSsh> {
    let lines = lines(&[&["LogLevel DEBUG1"], more].concat());
    OpenSsh::start(Config { password: true, lines, ..Config::default() })
}

/// Passwords by questions alone, as PAM has them.
const QUESTIONS: [&str; 3] = ["UsePAM yes", "PasswordAuthentication no", "KbdInteractiveAuthentication yes"];

#[test]
fn a_key_and_a_password_are_two_proofs_in_the_order_of_the_endpoint() {
    let site = need!(Site::on_sqlite());
    let questions = [&QUESTIONS[..], &["AuthenticationMethods publickey,keyboard-interactive:pam"]].concat();
    let key_first = need!(server(&["AuthenticationMethods publickey,password"]));
    let password_first = need!(server(&["AuthenticationMethods password,publickey"]));
    let asking = need!(server(&questions));
    let password = key_first.login().password.clone().unwrap();
    let secret = site.write("password", &password).unwrap();
    let both = |code: &str, server: &OpenSsh, login: &str| {
        let settings = format!("password = \"file:{}\"\nsettings = {{ {login} }}", secret.display());
        Partner::at(code, server).login(Login::key(server.key_file())).with(&settings)
    };
    site.apply(&[
        both("key-first", &key_first, ""),
        both("password-first", &password_first, "login = [\"password\", \"publickey\"]"),
        both("asking", &asking, "login = [\"publickey\", \"keyboard-interactive\"]"),
    ])
    .unwrap();
    let up = site.up().unwrap();
    site.put("1.txt", "statement").unwrap();
    for (code, server) in
        [("key-first", &key_first), ("password-first", &password_first), ("asking", &asking)]
    {
        let endpoint = format!("{code}/sftp");
        site.wait_for_state("1.txt", &endpoint, "delivered", 30).unwrap();
        assert_eq!(std::fs::read(server.folder().join("1.txt")).unwrap(), b"statement");
        let shown = site.json(["endpoint", "show", &endpoint]).unwrap();
        let credential = shown["credential"].as_str().unwrap();
        assert!(
            credential.starts_with("key file:") && credential.contains(", password file:"),
            "{credential}"
        );
        assert!(!shown.to_string().contains(&password), "{shown:#}");
    }
    drop(up);
}

#[test]
fn a_wrong_password_is_given_once_whichever_way_comes_first() {
    let site = need!(Site::on_sqlite());
    let both_ways = ["UsePAM yes", "PasswordAuthentication yes", "KbdInteractiveAuthentication yes"];
    let secret = site.write("password", "wr0ng-battery").unwrap();
    for (code, order) in [
        ("one", ""),
        ("two", "login = [\"keyboard-interactive\", \"password\"]"),
        ("three", "login = [\"password\", \"keyboard-interactive\"]"),
    ] {
        let server = need!(server(&both_ways));
        let settings = format!("settings = {{ {order} }}");
        let partner = Partner::at(code, &server).login(Login::password(&secret)).with(&settings);
        site.apply(&[partner]).unwrap();
        let file = format!("{code}.txt");
        let up = site.up().unwrap();
        site.put(&file, "statement").unwrap();
        let refused = |d: &serde_json::Value| d["fault_code"] == "credential.refused";
        site.wait_for_delivery(&file, &format!("{code}/sftp"), 30, refused).unwrap();
        let log = server.log();
        let first = log.split("Connection closed").next().unwrap();
        let tries =
            first.matches("Failed password").count() + first.matches("Failed keyboard-interactive").count();
        assert_eq!(tries, 1, "{code}: {log}");
        drop(up);
    }
}
