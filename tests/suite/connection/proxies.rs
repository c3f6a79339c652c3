//! Ways to a server: proxies, a source address, IPv6.

use std::net::TcpListener;

use outport_tests::need;
use outport_tests::servers::forward::{Forward, Kind, Manner};
use outport_tests::servers::openssh::{Config, OpenSsh};
use outport_tests::set::Skip;
use outport_tests::site::{Partner, Site};

use super::{assert_refused, assert_sent, lines, send, send_with_key};

const KINDS: [Kind; 2] = [Kind::Socks5, Kind::Http];

fn login() -> Manner {
    Manner::Login("me".into(), "geheim".into())
}

#[test]
fn a_file_goes_through_a_proxy() {
    let server = need!(OpenSsh::start(Config::default()));
    let work = tempfile::tempdir().unwrap();
    for (kind, manner) in KINDS.into_iter().flat_map(|kind| [(kind, Manner::Open), (kind, login())]) {
        let wants_login = manner != Manner::Open;
        let proxy = Forward::start(kind, manner).unwrap();
        let url = proxy.url();
        let mut arguments = vec!["--host-key", server.fingerprint(), "--proxy", &url];
        if wants_login {
            arguments.extend(["--proxy-username", "me", "--proxy-password-from", "env:SECRET"]);
        }
        assert_sent(&server, &send_with_key(&server, work.path(), &arguments));
        assert_eq!((proxy.passed(), proxy.asked_for()), (1, vec![server.address().to_string()]));
        // A name is the proxy's to resolve.
        let key = ["--identity", server.key_file().to_str().unwrap()];
        assert_sent(&server, &send(&server, "localhost", work.path(), &[&key[..], &arguments].concat()));
        assert!(proxy.asked_for()[1].starts_with("localhost:"), "{:?}", proxy.asked_for());
    }
}

#[test]
fn what_a_proxy_refuses_is_said_to_be_its_doing() {
    let server = need!(OpenSsh::start(Config::default()));
    let work = tempfile::tempdir().unwrap();
    let gone = {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        format!("http://{}", listener.local_addr().unwrap())
    };
    let pinned = ["--host-key", server.fingerprint()];
    let attempt = |url: &str, more: &[&str]| {
        send_with_key(&server, work.path(), &[&pinned[..], &["--proxy", url], more].concat())
    };
    assert_refused(
        &server,
        &attempt(&gone, &[]),
        "endpoint.proxy_failed",
        &["could not reach the proxy http://"],
    );
    for kind in KINDS {
        let closed = Forward::start(kind, Manner::Closed).unwrap();
        let refused = attempt(&closed.url(), &[]);
        assert_refused(
            &server,
            &refused,
            "endpoint.proxy_refused",
            &["through the proxy", "the proxy answered"],
        );
        let wants = Forward::start(kind, login()).unwrap();
        assert_refused(&server, &attempt(&wants.url(), &[]), "endpoint.proxy_refused", &["wants a login"]);
        let wrong = ["--proxy-username", "you", "--proxy-password-from", "env:SECRET"];
        let refused = attempt(&wants.url(), &wrong);
        assert_refused(&server, &refused, "endpoint.proxy_refused", &["refused its user name or password"]);
        assert_eq!((closed.passed(), wants.passed()), (0, 0));
    }
    let in_url = attempt("socks5://me:geheim@127.0.0.1:1080", &[]);
    assert_eq!(in_url.code, Some(2), "{in_url:?}");
    assert!(!in_url.stderr.contains("geheim") && in_url.stderr.contains("proxy_password"), "{in_url:?}");
}

#[test]
fn an_endpoint_goes_through_its_proxy() {
    let site = need!(Site::on_sqlite());
    let server = need!(OpenSsh::start(Config::default()));
    let proxy = Forward::start(Kind::Socks5, login()).unwrap();
    let secret = site.write("proxy-password", "geheim\n").unwrap();
    let settings = format!(
        "settings = {{ proxy = \"{}\", proxy_username = \"me\", proxy_password = \"file:{}\" }}",
        proxy.url(),
        secret.display()
    );
    site.apply(&[Partner::at("acme", &server).with(&settings)]).unwrap();
    let up = site.up().unwrap();
    site.put("1.txt", "statement").unwrap();
    site.wait_for_state("1.txt", "acme/sftp", "delivered", 30).unwrap();
    assert_eq!(proxy.passed(), 1);
    let endpoint = site.done(["endpoint", "show", "acme/sftp"]).unwrap();
    assert!(
        endpoint.stdout.contains(&proxy.url()) && !endpoint.stdout.contains("geheim"),
        "{}",
        endpoint.stdout
    );
    drop(up);
}

#[test]
fn a_source_address_is_where_connections_start() {
    let server = need!(OpenSsh::start(Config::default()));
    let work = tempfile::tempdir().unwrap();
    let pinned = ["--host-key", server.fingerprint(), "--source-address"];
    assert_sent(&server, &send_with_key(&server, work.path(), &[&pinned[..], &["127.0.0.9"]].concat()));
    assert!(server.log().contains("Connection from 127.0.0.9 "), "{}", server.log());
    let other_family = send_with_key(&server, work.path(), &[&pinned[..], &["::1"]].concat());
    assert_refused(&server, &other_family, "endpoint.unreachable", &["no IPv6 address", "::1"]);
    // Of the documentation's network (RFC 5737): no machine has it.
    let not_ours = send_with_key(&server, work.path(), &[&pinned[..], &["192.0.2.1"]].concat());
    assert_refused(&server, &not_ours, "endpoint.unreachable", &["cannot start from 192.0.2.1"]);
}

#[test]
fn ipv6_works_with_brackets_and_a_name_with_both_families_does_too() {
    if TcpListener::bind("[::1]:0").is_err() {
        need!(Err::<(), _>(Skip::because("this machine has no ::1")));
    }
    let config = Config { lines: lines(&["ListenAddress ::1"]), ..Config::default() };
    let server = need!(OpenSsh::start(config));
    let work = tempfile::tempdir().unwrap();
    let key = ["--identity", server.key_file().to_str().unwrap(), "--host-key", server.fingerprint()];
    for host in ["[::1]", "localhost"] {
        assert_sent(&server, &send(&server, host, work.path(), &key));
    }
    let proxy = Forward::start(Kind::Socks5, Manner::Open).unwrap();
    let url = proxy.url();
    assert_sent(&server, &send(&server, "[::1]", work.path(), &[&key[..], &["--proxy", &url]].concat()));
    assert_eq!(proxy.asked_for(), [format!("[::1]:{}", server.address().port())]);
}
