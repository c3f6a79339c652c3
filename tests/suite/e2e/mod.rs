//! The built binary, end to end, against a real OpenSSH server.

mod ad_hoc;
mod arrival_order;
mod converted;
mod delivered;
mod demo;
mod drain;
mod folder_lock;
mod host_key;
mod idle;
mod outage;
mod password;
mod refused;
mod seats;

use std::time::{Duration, Instant};

use outport_tests::servers::openssh::OpenSsh;
use outport_tests::site::is_temp_name;
use serde_json::Value;

/// Makes two tests of a `fn(Site)`: `sqlite` and `postgres`.
macro_rules! on_both {
    ($($name:ident),* $(,)?) => {
        $(
            mod $name {
                #[test]
                fn sqlite() {
                    super::$name(outport_tests::need!(outport_tests::site::Site::on_sqlite()));
                }
                #[test]
                fn postgres() {
                    super::$name(outport_tests::need!(outport_tests::site::Site::on_postgres()));
                }
            }
        )*
    };
}
pub(crate) use on_both;

/// Three records with what CSV is bad at, and the very bytes that they have to become.
pub(crate) const CLAIMS: &str = concat!(
    "{\"claim\":1,\"patient\":{\"name\":\"M\u{fc}ller, Anna\"},\"amount\":1.10}\n",
    "{\"claim\":2,\"patient\":{\"name\":\"the \\\"other\\\"\"},\"amount\":-0,\"note\":\"two\\nlines\"}\n",
    "{\"claim\":3,\"patient\":{\"name\":\"\"},\"codes\":[\"A1\", 2]}\n",
);
pub(crate) const CLAIMS_CSV: &str = concat!(
    "claim,patient.name,amount,note,codes\n",
    "1,\"M\u{fc}ller, Anna\",1.10,,\n",
    "2,\"the \"\"other\"\"\",-0,\"two\nlines\",\n",
    "3,\"\",,,\"[\"\"A1\"\",2]\"\n",
);

/// Takes most of a second on a fast machine: time enough to stop it in the middle.
pub(crate) const LARGE: usize = 40_000_000;

/// `size` bytes of every value, in no short period: any conversion on the way would show.
pub(crate) fn binary(size: usize, mut seed: u32) -> Vec<u8> {
    let next = || {
        // The constants of Numerical Recipes; the upper bits are the good ones.
        seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (seed >> 24) as u8
    };
    std::iter::repeat_with(next).take(size).collect()
}

/// The hash in hex.
fn sha256(content: &[u8]) -> String {
    use sha2::Digest;
    sha2::Sha256::digest(content).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The text at `pointer`, or `""`.
fn text<'a>(value: &'a Value, pointer: &str) -> &'a str {
    value.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

/// Names in the folder where the server's files land, sorted.
fn names(server: &OpenSsh) -> Vec<String> {
    let mut names: Vec<String> = std::fs::read_dir(server.folder())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

/// Looks until it is so. For what a look costs nothing: it looks 500 times a second.
fn wait_for(limit: Duration, otherwise: &str, is_so: impl Fn() -> bool) {
    let deadline = Instant::now() + limit;
    while !is_so() {
        assert!(Instant::now() < deadline, "{otherwise} for {limit:?}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// Waits until a part of the upload of `name` lies on the server.
pub(crate) fn wait_for_half_a_file(server: &OpenSsh, name: &str, limit: Duration) {
    let start = format!(".{name}.");
    wait_for(limit, &format!("the upload of {name} did not begin"), || {
        let temp = names(server).into_iter().find(|name| name.starts_with(&start) && is_temp_name(name));
        let meta = temp.and_then(|temp| server.folder().join(temp).metadata().ok());
        meta.is_some_and(|meta| meta.len() > 0)
    });
}

/// sshd_config for a log in which every request to log in is a line, whatever becomes of it.
fn log_of_logins() -> Vec<String> {
    vec!["LogLevel DEBUG1".to_owned()]
}

/// Requests to log in that the server has seen. It must log as [`log_of_logins`] says.
fn login_requests(server: &OpenSsh) -> usize {
    server.log().matches("userauth-request for user").count()
}
