//! `partners.toml`: read, and checked as far as that is possible without a database.

use std::collections::BTreeSet;
use std::path::Path;

use outport_core::definitions::{Definitions, Endpoint, Subscription, TransformSpec};
use outport_core::delivery::OnUnconfirmed;
use outport_core::remote_name::Template;
use outport_core::route::Priority;
use outport_core::{Fault, KeyPattern, code};

use crate::connection;
use crate::nearest::nearest;
use crate::spec_file;
use crate::toml_line::toml_line;

/// Reads and checks a definitions file.
pub fn read(path: &Path) -> Result<Definitions, Fault> {
    let name = path.display().to_string();
    let text = std::fs::read_to_string(path)
        .map_err(|error| Fault::new(&code::CONFIG_UNREADABLE, format!("could not read {name}: {error}")))?;
    let mut definitions = parse(&text, &name)?;
    for transform in &mut definitions.transforms {
        read_spec(transform, path.parent().unwrap_or(Path::new("")))?;
    }
    check(&definitions)?;
    Ok(definitions)
}

/// Puts the content of the file that a transform names in its place. A relative path counts from the definitions file.
fn read_spec(transform: &mut TransformSpec, folder: &Path) -> Result<(), Fault> {
    let Some(file) = transform.spec.take() else { return Ok(()) };
    if transform.params.as_object().is_none_or(|params| !params.is_empty()) {
        return Err(invalid(format!("the transform {:?} has `spec` and `params`", transform.name))
            .with_hint("both say the same thing: keep one of them"));
    }
    transform.params = spec_file::read(&folder.join(file)).map_err(|fault| in_transform(transform, fault))?;
    Ok(())
}

fn in_transform(transform: &TransformSpec, fault: Fault) -> Fault {
    Fault { message: format!("the transform {:?}: {}", transform.name, fault.message), ..fault }
}

fn parse(text: &str, name: &str) -> Result<Definitions, Fault> {
    toml::from_str(text).map_err(|error: toml::de::Error| {
        let line = toml_line(text, &error);
        let message = error.message().replace('\n', " ");
        let said = format!("could not read {name}, line {line}: {message}");
        match unknown_field(&message) {
            Some((field, known)) => {
                let fault = Fault::new(&code::CONFIG_UNKNOWN_KEY, said);
                match nearest(&field, known.iter().map(String::as_str)) {
                    Some(near) => fault.with_hint(format!("did you mean `{near}`?")),
                    None => fault.with_hint(format!("the keys here are: {}", known.join(", "))),
                }
            }
            // A word that is none of a list: serde names the list.
            None if message.starts_with("unknown variant") => Fault::new(&code::CONFIG_INVALID, said),
            None => Fault::new(&code::CONFIG_UNREADABLE, said),
        }
    })
}

/// serde says: unknown field `hots`, expected one of `name`, `host` (or: expected `name`; or: expected `a` or `b`).
fn unknown_field(message: &str) -> Option<(String, Vec<String>)> {
    let rest = message.strip_prefix("unknown field ")?;
    let mut quoted = rest.split('`').skip(1).step_by(2).map(str::to_owned);
    let field = quoted.next()?;
    Some((field, quoted.collect()))
}

fn check(definitions: &Definitions) -> Result<(), Fault> {
    let unique = |noun: &str, names: Vec<String>| -> Result<(), Fault> {
        let mut seen = BTreeSet::new();
        for name in names {
            plain_name(noun, &name)?;
            if !seen.insert(name.clone()) {
                return Err(invalid(format!("the {noun} {name:?} is defined twice")));
            }
        }
        Ok(())
    };
    unique("file group", definitions.file_groups.iter().map(|g| g.name.clone()).collect())?;
    unique("subscriber", definitions.subscribers.iter().map(|s| s.code.clone()).collect())?;
    unique("transform", definitions.transforms.iter().map(|t| t.name.clone()).collect())?;
    unique("subscription", definitions.subscriptions.iter().map(|s| s.code.clone()).collect())?;
    for group in &definitions.file_groups {
        if group.rules.is_empty() {
            return Err(invalid(format!("the file group {:?} has no rule", group.name))
                .with_hint("add [[file_group.rule]] with bucket and key"));
        }
        let mut seen = BTreeSet::new();
        for rule in &group.rules {
            plain_name("bucket", &rule.bucket)?;
            KeyPattern::parse(&rule.key)?;
            if let Some(backfill) = rule.backfill.as_deref().filter(|b| *b != "all") {
                backfill.parse::<jiff::Timestamp>().map_err(|error| {
                    invalid(format!("backfill of a rule of file group {:?}: {error}", group.name))
                        .with_hint("write \"all\" or a time with its zone, such as 2026-11-01T00:00:00Z")
                })?;
            }
            if !seen.insert((&rule.bucket, &rule.key)) {
                return Err(invalid(format!("the file group {:?} has the same rule twice", group.name)));
            }
        }
    }
    for spec in &definitions.transforms {
        outport_transform::build(&spec.kind, &spec.params).map_err(|fault| in_transform(spec, fault))?;
    }
    for subscriber in &definitions.subscribers {
        unique(
            "endpoint",
            subscriber.endpoints.iter().map(|e| format!("{}/{}", subscriber.code, e.name)).collect(),
        )?;
        for endpoint in &subscriber.endpoints {
            check_endpoint(&subscriber.code, endpoint)?;
        }
    }
    definitions.subscriptions.iter().try_for_each(|s| check_subscription(definitions, s))
}

fn invalid(message: String) -> Fault {
    Fault::new(&code::CONFIG_INVALID, message)
}

/// Names stand in logs, folders and command lines: letters, digits, `-`, `_`, `.`; an endpoint's has one slash.
fn plain_name(noun: &str, name: &str) -> Result<(), Fault> {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    let slashes_allowed = usize::from(noun == "endpoint");
    let good = !name.is_empty()
        && name.len() <= 128
        && !name.starts_with('.')
        && name.chars().filter(|c| *c == '/').count() == slashes_allowed
        && name.split('/').all(|part| !part.is_empty() && part.chars().all(plain));
    if good {
        Ok(())
    } else {
        Err(invalid(format!("{name:?} is no name for a {noun}"))
            .with_hint("use letters, digits, -, _ and . (not in front), 128 characters at most"))
    }
}

/// Also with a zone, which the system's resolver understands: `fe80::1%eth0`.
fn is_ipv6(host: &str) -> bool {
    host.split('%').next().is_some_and(|address| address.parse::<std::net::Ipv6Addr>().is_ok())
}

fn check_endpoint(subscriber: &str, endpoint: &Endpoint) -> Result<(), Fault> {
    let label = format!("{subscriber}/{}", endpoint.name);
    match endpoint.protocol.as_str() {
        "sftp" => {}
        "ftps" => {
            return Err(Fault::new(
                &code::CONFIG_NOT_AVAILABLE,
                format!("the endpoint {label} is of protocol ftps, which is not available yet"),
            ));
        }
        other => {
            return Err(invalid(format!("the endpoint {label} is of protocol {other:?}"))
                .with_hint("the protocol is sftp"));
        }
    }
    let text = [("host", &endpoint.host), ("username", &endpoint.username)];
    for (field, value) in text {
        if value.is_empty() || value.chars().any(|c| c.is_control() || c.is_whitespace()) {
            return Err(invalid(format!("the {field} of endpoint {label} is empty or has blanks")));
        }
    }
    if endpoint.host.contains([':', '[', ']', '/', '@']) && !is_ipv6(&endpoint.host) {
        return Err(invalid(format!("the host of endpoint {label} is neither a name nor an address"))
            .with_hint("write the host alone; an IPv6 address without brackets; the port goes into `port`"));
    }
    if endpoint.port == Some(0) {
        return Err(invalid(format!("the port of endpoint {label} is 0")));
    }
    let credential = endpoint.credential().map_err(|problem| {
        invalid(format!("the login of endpoint {label}: {problem}")).with_hint(
            "it has a key (with key_passphrase and certificate, if there are any), a password, or both",
        )
    })?;
    if let Some(problem) = credential.login_problem(&endpoint.settings.login) {
        return Err(invalid(format!("the settings of endpoint {label}: {problem}")).with_hint(
            "login has publickey for a key; password, keyboard-interactive or both for a password",
        ));
    }
    connection::pins(&endpoint.host_keys, &label)?;
    connection::authorities(&endpoint.host_cas, &label)?;
    connection::algorithms(&endpoint.settings.ssh, &label)?;
    connection::proxy(&endpoint.settings, &label)?;
    if let Some(problem) = endpoint.settings.problem() {
        return Err(invalid(format!("the settings of endpoint {label}: {problem}")));
    }
    if endpoint.settings.second_channel && (endpoint.upload.resume || endpoint.upload.one_handle) {
        let what = if endpoint.upload.resume { "resume" } else { "one_handle" };
        return Err(invalid(format!(
            "upload.{what} of endpoint {label} does not go with second_channel = true"
        ))
        .with_hint(
            "two channels write with gaps between them, and open the file twice: leave one of the two out",
        ));
    }
    match endpoint.upload.problem() {
        Some(problem) => Err(invalid(format!("the upload plan of endpoint {label}: {}", problem.message))
            .with_hint(problem.hint)),
        None => Ok(()),
    }
}

fn check_subscription(definitions: &Definitions, s: &Subscription) -> Result<(), Fault> {
    let code = &s.code;
    let undefined = |noun: &str, name: &str, known: Vec<&str>| {
        let fault =
            invalid(format!("the subscription {code:?} names the {noun} {name:?}, which is not defined"));
        match nearest(name, known.iter().copied()) {
            Some(near) => fault.with_hint(format!("did you mean {near:?}?")),
            None => fault.with_hint(format!("defined are: {}", known.join(", "))),
        }
    };
    let Some(subscriber) = definitions.subscribers.iter().find(|b| b.code == s.subscriber) else {
        let known = definitions.subscribers.iter().map(|b| b.code.as_str()).collect();
        return Err(undefined("subscriber", &s.subscriber, known));
    };
    if !subscriber.endpoints.iter().any(|e| e.name == s.endpoint) {
        let known = subscriber.endpoints.iter().map(|e| e.name.as_str()).collect();
        return Err(undefined("endpoint", &s.endpoint, known));
    }
    let Some(group) = definitions.file_groups.iter().find(|g| g.name == s.file_group) else {
        let known = definitions.file_groups.iter().map(|g| g.name.as_str()).collect();
        return Err(undefined("file group", &s.file_group, known));
    };
    if let Some(transform) = &s.transform
        && !definitions.transforms.iter().any(|t| &t.name == transform)
    {
        let known = definitions.transforms.iter().map(|t| t.name.as_str()).collect();
        return Err(undefined("transform", transform, known));
    }
    let patterns: Vec<KeyPattern> =
        group.rules.iter().map(|rule| KeyPattern::parse(&rule.key)).collect::<Result<_, _>>()?;
    Template::parse(&s.remote_name)?.check_fields(&patterns)?;
    Priority::new(s.priority).map_err(|error| invalid(format!("the subscription {code:?}: {error}")))?;
    match s.ordering.as_str() {
        "none" | "fifo" => {}
        other => {
            return Err(invalid(format!("the subscription {code:?} has ordering {other:?}"))
                .with_hint("it is none or fifo"));
        }
    }
    if !matches!(s.stale.as_str(), "skip" | "send") {
        return Err(invalid(format!("the subscription {code:?} has stale {:?}", s.stale))
            .with_hint("it is skip or send"));
    }
    s.on_unconfirmed.parse::<OnUnconfirmed>().map_err(|_| {
        invalid(format!("the subscription {code:?} has on_unconfirmed {:?}", s.on_unconfirmed))
            .with_hint("it is resend or hold")
    })?;
    match s.retry.problem() {
        Some(problem) => Err(invalid(format!("the retry policy of subscription {code:?}: {problem}"))),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = r#"
[[file_group]]
name = "claims"
[[file_group.rule]]
bucket = "inbound"
key = "claims/{sender}/*.json"

[[subscriber]]
code = "acme"
name = "ACME Health"
[[subscriber.endpoint]]
name = "sftp"
protocol = "sftp"
host = "sftp.acme.example"
username = "outport"
password = "env:ACME_PASSWORD"
host_keys = ["SHA256:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU"]
[subscriber.endpoint.settings]
max_connections = 2
[subscriber.endpoint.upload]
verify = "stat"
trigger = "{name}.done"

[[transform]]
name = "claims-csv"
kind = "json-to-csv"

[[subscription]]
code = "acme-claims"
subscriber = "acme"
file_group = "claims"
endpoint = "sftp"
transform = "claims-csv"
remote_name = "inbox/{sender}_{stem}.{ext}"
"#;

    fn problem(text: &str) -> Fault {
        parse(text, "partners.toml").and_then(|d| check(&d)).unwrap_err()
    }

    #[test]
    fn a_good_file_is_good() {
        check(&parse(GOOD, "partners.toml").unwrap()).unwrap();
        let dated = "{ fingerprint = \"SHA256:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU\", from = \"2026-12-01T00:00:00Z\" }, ";
        for (old, new) in [
            ("host = \"sftp.acme.example\"", "host = \"2001:db8::1\""),
            ("host = \"sftp.acme.example\"", "host = \"fe80::1%eth0\""),
            ("password =", "key = \"file:/k\"\ncertificate = \"file:/c\"\npassword ="),
            ("max_connections = 2", "login = [\"keyboard-interactive\"]"),
            (
                "max_connections = 2",
                "proxy = \"socks5://h:1\"\nproxy_username = \"u\"\nproxy_password = \"env:P\"",
            ),
            (
                "max_connections = 2",
                "first_use = \"ask\"\nsource_address = \"::1\"\nssh = { profile = \"compat\" }",
            ),
            ("host_keys = [", &format!("host_keys = [{dated}")),
        ] {
            let text = GOOD.replacen(old, new, 1);
            assert_ne!(text, GOOD);
            check(&parse(&text, "partners.toml").unwrap()).unwrap_or_else(|fault| panic!("{new}: {fault}"));
        }
    }

    #[test]
    fn each_mistake_is_named_with_a_hint() {
        let cases = [
            ("username =", "usrname =", "config.unknown_key", "username"),
            ("max_connections =", "max_conections =", "config.unknown_key", "max_connections"),
            ("kind = \"json-to-csv\"", "kind = \"json-csv\"", "transform.kind_unknown", "json-to-csv"),
            ("kind = \"json-to-csv\"", "kind = \"hl7-normalize\"", "config.not_available", ""),
            ("protocol = \"sftp\"", "protocol = \"ftps\"", "config.not_available", ""),
            ("env:ACME_PASSWORD", "hunter2", "config.invalid", ""),
            ("{sender}_", "{sendr}_", "config.invalid", "sender"),
            ("subscriber = \"acme\"", "subscriber = \"acne\"", "config.invalid", "acme"),
            ("code = \"acme\"", "code = \"../acme\"", "config.invalid", ""),
            ("max_connections = 2", "max_connections = 0", "config.invalid", ""),
            ("SHA256:47DEQpj8", "MD5:47DEQpj8", "config.invalid", ""),
            ("host = \"sftp.acme.example\"", "host = \"[::1]\"", "config.invalid", "without brackets"),
            ("host = \"sftp.acme.example\"", "host = \"sftp.acme.example:22\"", "config.invalid", "`port`"),
            ("password = \"env:ACME_PASSWORD\"", "", "config.invalid", "a password, or both"),
            ("password =", "certificate = \"file:/c\"\npassword =", "config.invalid", "goes with a key"),
            ("max_connections = 2", "login = [\"publickey\"]", "config.invalid", "there is no key"),
            ("max_connections = 2", "login = [\"pasword\"]", "config.invalid", "password"),
            ("max_connections = 2", "first_use = \"yes\"", "config.invalid", "ask"),
            ("max_connections = 2", "source_address = \"eth0\"", "config.unreadable", "IP"),
            ("max_connections = 2", "proxy = \"http://u:hunter2@h:1\"", "config.invalid", "proxy_password"),
            ("max_connections = 2", "proxy = \"http://h\"", "config.invalid", "no port"),
            ("max_connections = 2", "proxy_username = \"u\"", "config.invalid", "no proxy"),
            (
                "max_connections = 2",
                "ssh = { profile = \"compat\", macs = [\"hmac-sha1\"] }",
                "config.invalid",
                "only with",
            ),
            ("max_connections = 2", "ssh = { profile = \"custom\" }", "config.invalid", "no list"),
            (
                "max_connections = 2",
                "ssh = { profile = \"custom\", macs = [\"hmac-sha2-265\"] }",
                "config.invalid",
                "did you mean \"hmac-sha2-256\"",
            ),
            ("max_connections = 2", "ssh = { profle = \"modern\" }", "config.unknown_key", "profile"),
            (
                "host_keys = [",
                "host_keys = [{ fingerprint = \"SHA256:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU\", from = \"2026-12-01\" }, ",
                "config.unreadable",
                "times with their zone",
            ),
            (
                "host_keys = [",
                "host_cas = [{ key = \"ssh-ed25519 AAAA\" }]\nhost_keys = [",
                "config.invalid",
                "not an authority",
            ),
            ("trigger = ", "triger = ", "config.unknown_key", "trigger"),
            ("\"{name}.done\"", "\"{name}\"", "config.invalid", ".done"),
            ("verify = \"stat\"", "verify = \"size\"", "config.invalid", "read-back"),
            ("verify = \"stat\"", "write_only = true", "config.invalid", "verify = \"none\""),
            ("verify = \"stat\"", "temp = \"{name}.part\"", "config.invalid", "two attempts"),
            ("verify = \"stat\"", "mode = \"rw\"", "config.unreadable", "octal"),
        ];
        for (old, new, code, hint) in cases {
            let text = GOOD.replacen(old, new, 1);
            assert_ne!(text, GOOD, "{old}");
            let fault = problem(&text);
            assert_eq!(fault.code.name, code, "{new}: {fault}");
            assert!(fault.report().contains(hint), "{new}: {}", fault.report());
            assert!(!fault.report().contains("hunter2"), "{}", fault.report());
        }
    }

    #[test]
    fn a_spec_may_be_a_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("partners.toml");
        let try_it = |spec: &str, instead: &str| {
            std::fs::write(folder.path().join("claims.toml"), spec).unwrap();
            let kind = "kind = \"json-to-csv\"";
            std::fs::write(&path, GOOD.replacen(kind, &format!("{kind}\n{instead}"), 1)).unwrap();
            read(&path)
        };
        let by_file = try_it("[output]\ndelimiter = \";\"\n", "spec = \"claims.toml\"").unwrap();
        let inline = try_it("", "[transform.params.output]\ndelimiter = \";\"").unwrap();
        assert_eq!(by_file, inline);
        for (spec, instead, told) in [
            ("", "spec = \"claim.toml\"", "the transform \"claims-csv\": could not read the spec "),
            ("a = ", "spec = \"claims.toml\"", "claims.toml: line 1: "),
            ("[output]\ndelimeter = 1\n", "spec = \"claims.toml\"", "[output] has no key `delimeter`"),
            ("", "spec = \"claims.toml\"\nparams = { version = 1 }", "has `spec` and `params`"),
        ] {
            let fault = try_it(spec, instead).unwrap_err();
            assert!(fault.message.contains(told), "{fault}");
            assert!(fault.message.contains("\"claims-csv\""), "{fault}");
        }
    }

    #[test]
    fn a_line_number_is_given() {
        assert!(problem(&GOOD.replacen("username", "usrname", 1)).message.contains("line 15"));
    }
}
