//! Who is let in, and which server is believed.

use std::time::{Duration, Instant};

use outport_core::code;
use outport_send::{Auth, HostKeyPin, Secret, Stage, Timeouts};
use russh::keys::ssh_key::LineEnding;
use russh::keys::{Algorithm, EcdsaCurve, PrivateKey, key::safe_rng};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use crate::support::{PASSWORD, Site, connect, password, refused, target};

const ANOTHER: &str = "SHA256:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU";

#[tokio::test]
async fn the_right_password_lets_in_and_the_identity_is_known() {
    let site = Site::start().await;
    let remote = connect(&site.target()).await.unwrap();
    let identity = remote.identity();
    assert_eq!(identity.fingerprint, site.partner.fingerprint().to_string());
    assert_eq!(identity.algorithm, "ssh-ed25519");
    assert!(identity.banner.starts_with("SSH-2.0-"), "{identity:?}");
    assert!(remote.alive());
    remote.close().await;
    assert!(!remote.alive());
}

#[tokio::test]
async fn a_wrong_password_is_refused_after_one_try() {
    let site = Site::start().await;
    let mut target = site.target();
    target.auth = vec![password("wr0ng-battery")];
    let failed = refused(connect(&target).await);
    assert_eq!((failed.fault.code, failed.stage), (&code::CREDENTIAL_REFUSED, Stage::Authenticating));
    let message = &failed.fault.message;
    assert!(
        message.contains("acme/sftp (127.0.0.1:")
            && message.contains("\"mft\"")
            && message.contains("password"),
        "{message}"
    );
    assert!(!failed.fault.report().contains("battery"), "{message}");
    assert_eq!(site.partner.logins_tried(), 1);
}

#[tokio::test]
async fn a_changed_host_key_stops_before_any_credential() {
    let site = Site::start().await;
    let mut target = site.target();
    target.host_key_pins = vec![ANOTHER.parse().unwrap()];
    let failed = refused(connect(&target).await);
    assert_eq!((failed.fault.code, failed.stage), (&code::HOSTKEY_CHANGED, Stage::Connecting));
    let message = &failed.fault.message;
    assert!(
        message.contains(ANOTHER) && message.contains(&site.partner.fingerprint().to_string()),
        "{message}"
    );
    assert_eq!(site.partner.logins_tried(), 0);

    target.host_key_pins.clear();
    let failed = refused(connect(&target).await);
    assert_eq!(failed.fault.code, &code::HOSTKEY_UNPINNED);
    assert!(failed.fault.message.contains(&site.partner.fingerprint().to_string()), "{}", failed.fault);
    assert_eq!(site.partner.logins_tried(), 0);

    let both: [HostKeyPin; 2] = [ANOTHER.parse().unwrap(), site.partner.fingerprint()];
    target.host_key_pins = both.to_vec();
    assert!(connect(&target).await.unwrap().alive());
}

#[tokio::test]
async fn a_host_key_survives_a_restart() {
    let site = Site::start().await;
    let key = site.partner.host_key().clone();
    let again =
        Site::with(|config| outport_send::partner::PartnerConfig { host_key: Some(key), ..config }).await;
    assert_eq!(site.partner.fingerprint(), again.partner.fingerprint());
}

fn keys() -> Vec<PrivateKey> {
    let new = |algorithm| PrivateKey::random(&mut safe_rng(), algorithm).unwrap();
    vec![
        new(Algorithm::Ed25519),
        new(Algorithm::Ecdsa { curve: EcdsaCurve::NistP256 }),
        new(Algorithm::Ecdsa { curve: EcdsaCurve::NistP521 }),
        PrivateKey::from_openssh(include_str!("../keys/rsa")).unwrap(),
    ]
}

fn auth(key: &PrivateKey) -> Auth {
    let pem = key.to_openssh(LineEnding::LF).unwrap();
    Auth::Key { pem: Secret::new(pem.as_str()), passphrase: None, certificate: None }
}

async fn site_for(key: &PrivateKey) -> Site {
    let line = key.public_key().to_openssh().unwrap();
    Site::with(|config| outport_send::partner::PartnerConfig { authorized_key: Some(line), ..config }).await
}

#[tokio::test]
async fn every_kind_of_key_lets_in() {
    for key in keys() {
        let site = site_for(&key).await;
        let mut target = site.target();
        target.auth = vec![auth(&key)];
        let remote = connect(&target).await.unwrap_or_else(|failed| panic!("{}: {failed}", key.algorithm()));
        assert!(remote.alive());
    }
}

#[tokio::test]
async fn methods_are_tried_in_order_and_only_where_offered() {
    let keys = keys();
    let (known, unknown) = (&keys[0], &keys[1]);
    let site = site_for(known).await;
    let mut target = site.target();
    target.auth = vec![auth(unknown), auth(known)];
    assert!(connect(&target).await.unwrap().alive());

    // This server offers publickey alone: once it said so, the password stays here.
    target.auth = vec![auth(unknown), password(PASSWORD)];
    let tried = site.partner.logins_tried();
    let failed = refused(connect(&target).await);
    assert_eq!(failed.fault.code, &code::CREDENTIAL_REFUSED);
    assert!(failed.fault.message.contains("it offers publickey"), "{}", failed.fault);
    assert!(
        failed.fault.message.contains(&unknown.public_key().fingerprint(Default::default()).to_string()),
        "{}",
        failed.fault
    );
    assert_eq!(site.partner.logins_tried() - tried, 1);
}

#[tokio::test]
async fn secrets_that_cannot_be_used_are_found_before_connecting() {
    let site = Site::start().await;
    for (auth, code) in [
        (vec![], &code::CREDENTIAL_MISSING),
        (
            vec![Auth::Key { pem: Secret::new("nonsense"), passphrase: None, certificate: None }],
            &code::ENDPOINT_SECRET_UNUSABLE,
        ),
    ] {
        let mut target = site.target();
        target.auth = auth;
        let failed = refused(connect(&target).await);
        assert_eq!((failed.fault.code, failed.stage), (code, Stage::Authenticating));
    }
    assert_eq!(site.partner.connections(), 0);
}

#[tokio::test]
async fn a_closed_port_is_refused() {
    let free = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().port();
    let failed = refused(connect(&target(free, vec![password(PASSWORD)])).await);
    assert_eq!((failed.fault.code, failed.stage), (&code::ENDPOINT_REFUSED, Stage::Connecting));
    assert!(failed.fault.message.contains(&format!("acme/sftp (127.0.0.1:{free})")), "{}", failed.fault);
}

#[tokio::test]
async fn a_server_that_says_nothing_is_given_up_in_time() {
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut target = target(silent.local_addr().unwrap().port(), vec![password(PASSWORD)]);
    target.timeouts = Timeouts { login: Duration::from_millis(300), ..Timeouts::default() };
    let started = Instant::now();
    let failed = refused(connect(&target).await);
    assert_eq!((failed.fault.code, failed.stage), (&code::ENDPOINT_TIMEOUT, Stage::Connecting));
    assert!(started.elapsed() < Duration::from_secs(5));
}

#[tokio::test]
async fn what_is_no_ssh_server_is_told_by_its_first_words() {
    let endless = "welcome\r\n".repeat(20_000);
    for (words, hangs_up, expected, quoted) in [
        ("", true, &code::ENDPOINT_RESET, ""),
        ("HTTP/1.1 400 Bad Request\r\n\r\n", true, &code::SFTP_PROTOCOL, "HTTP/1.1 400 Bad Request"),
        ("220 FTP ready\r\n", false, &code::SFTP_PROTOCOL, "220 FTP ready"),
        ("SSH-1.5-old\r\n", false, &code::SFTP_PROTOCOL, "SSH-1.5-old"),
        (&endless, false, &code::SFTP_PROTOCOL, "welcome"),
        ("Exceeded MaxStartups\r\n", true, &code::ENDPOINT_BUSY, "Exceeded MaxStartups"),
    ] {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut target = target(listener.local_addr().unwrap().port(), vec![password(PASSWORD)]);
        target.timeouts.login = Duration::from_millis(500);
        let words = words.to_owned();
        let server = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let (mut reading, mut writing) = stream.split();
            // So that what is unread does not turn the goodbye into a reset, which nobody could tell from a crash.
            reading.read_exact(&mut [0; 8]).await.unwrap();
            // The client may hang up before it has read all of it.
            drop(writing.write_all(words.as_bytes()).await);
            if !hangs_up {
                drop(reading.read_to_end(&mut Vec::new()).await);
            }
        });
        let failed = refused(connect(&target).await);
        assert_eq!(
            (failed.fault.code.name, failed.stage),
            (expected.name, Stage::Connecting),
            "{}",
            failed.fault
        );
        assert!(failed.fault.message.contains(quoted), "{}", failed.fault);
        assert!(failed.fault.message.contains("acme/sftp"), "{}", failed.fault);
        server.await.unwrap();
    }
}
