//! `sftp://user@host:port/folder/`, for sends without a database.

use outport_core::{Fault, code};

/// A parsed address. No part of it is a secret: a password in a URL is refused, because URLs end up in shell histories
/// and process lists.
///
/// As with OpenSSH's own client, a path is relative to the folder one logs in to; two slashes make it absolute.
///
/// ```
/// use outport_send::SftpUrl;
/// let url = SftpUrl::parse("sftp://mft@[::1]:2222/in%20box/").unwrap();
/// assert_eq!((url.username.as_deref(), url.host.as_str(), url.port), (Some("mft"), "::1", 2222));
/// assert_eq!(url.path_for("a.csv"), "in box/a.csv");
/// assert_eq!(SftpUrl::parse("sftp://mft@h//srv/in/").unwrap().path_for("a.csv"), "/srv/in/a.csv");
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SftpUrl {
    /// User name, if the URL has one.
    pub username: Option<String>,
    /// Host name or address, without brackets.
    pub host: String,
    /// TCP port; 22 when the URL has none.
    pub port: u16,
    /// Remote path. Empty or ending with a slash: a folder. Else: the name of the file itself.
    pub path: String,
}

const EXAMPLE: &str = "write it like sftp://user@host:22/folder/";

impl SftpUrl {
    /// Parses a URL.
    ///
    /// # Errors
    /// `usage.invalid` with what is wrong with it.
    pub fn parse(text: &str) -> Result<Self, Fault> {
        let shown = redacted(text);
        let refuse = |problem: &str| {
            Fault::new(&code::USAGE, format!("could not read the URL {shown:?}: {problem}"))
                .with_hint(EXAMPLE)
        };
        if text.chars().any(char::is_control) {
            return Err(refuse("it has control characters"));
        }
        let rest = match text.split_once("://") {
            Some((scheme, rest)) if scheme.eq_ignore_ascii_case("sftp") => rest,
            Some((scheme, _)) => return Err(refuse(&format!("{scheme}:// is not available, only sftp://"))),
            None => return Err(refuse("it does not start with sftp://")),
        };
        if rest.contains(['?', '#']) {
            return Err(refuse(
                "it has ? or #, which mean nothing here; write them as %3F and %23 in a name",
            ));
        }
        let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
        let (user, address) = match authority.rsplit_once('@') {
            Some((user, address)) => (Some(user), address),
            None => (None, authority),
        };
        if user.is_some_and(|user| user.contains(':')) {
            return Err(Fault::new(&code::USAGE, format!("could not use the URL {shown:?}: it holds a password"))
                .with_hint("leave the password out of the URL and name where it is: --password-from env:NAME or file:PATH"));
        }
        let (host, port) = host_and_port(address).map_err(|problem| refuse(&problem))?;
        let port = port.unwrap_or(22);
        let username = user.map(decode).transpose().map_err(|problem| refuse(&problem))?;
        if username.as_deref() == Some("") {
            return Err(refuse("the user name before the @ is empty"));
        }
        let path = decode(path).map_err(|problem| refuse(&problem))?;
        if path.split('/').any(|part| part == "..") {
            return Err(refuse("its path has .. in it"));
        }
        Ok(Self { username, host, port, path })
    }

    /// Whether the path names a folder, as opposed to the file itself.
    pub fn is_folder(&self) -> bool {
        self.path.is_empty() || self.path.ends_with('/')
    }

    /// Where a file of this name goes.
    pub fn path_for(&self, file_name: &str) -> String {
        if self.is_folder() { format!("{}{file_name}", self.path) } else { self.path.clone() }
    }
}

/// The URL without what stands between the first `:` of the user part and the `@`: a message never shows a password.
fn redacted(text: &str) -> String {
    let Some((scheme, rest)) = text.split_once("://") else { return text.to_owned() };
    // The last @, not the last before a slash: a password may itself hold a slash.
    let Some((user, tail)) = rest.rsplit_once('@') else { return text.to_owned() };
    match user.split_once(':') {
        Some((name, _)) => format!("{scheme}://{name}:...@{tail}"),
        None => text.to_owned(),
    }
}

/// `HOST`, `HOST:PORT` or `[IPV6]:PORT`.
pub(crate) fn host_and_port(address: &str) -> Result<(String, Option<u16>), String> {
    let (host, port) = if let Some(bracketed) = address.strip_prefix('[') {
        let (host, after) =
            bracketed.split_once(']').ok_or("the bracket of the IPv6 address is not closed")?;
        if host.parse::<std::net::Ipv6Addr>().is_err() {
            return Err(format!("[{host}] is not an IPv6 address"));
        }
        match after.strip_prefix(':') {
            Some(port) => (host.to_owned(), Some(port)),
            None if after.is_empty() => (host.to_owned(), None),
            None => return Err("after the bracket only :port may follow".into()),
        }
    } else {
        match address.split_once(':') {
            Some((_, port)) if port.contains(':') => {
                return Err("an IPv6 address has to stand in brackets: [::1]".into());
            }
            Some((host, port)) => (host_name(host)?, Some(port)),
            None => (host_name(address)?, None),
        }
    };
    if host.is_empty() {
        return Err("it has no host".into());
    }
    match port {
        None => Ok((host, None)),
        Some(port) => match port.parse() {
            Ok(port) if port > 0 => Ok((host, Some(port))),
            _ => Err(format!("{port:?} is not a port")),
        },
    }
}

fn host_name(text: &str) -> Result<String, String> {
    let host = decode(text)?;
    if host.chars().any(|c| c.is_whitespace() || "/@:[]".contains(c)) {
        return Err(format!("{host:?} is not a host name"));
    }
    Ok(host)
}

/// Percent-decoding (RFC 3986 section 2.1). A plus sign stays one.
fn decode(text: &str) -> Result<String, String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&first, tail)) = rest.split_first() {
        rest = tail;
        if first != b'%' {
            bytes.push(first);
            continue;
        }
        let digit = |at: usize| rest.get(at).and_then(|byte| char::from(*byte).to_digit(16));
        let (Some(high), Some(low)) = (digit(0), digit(1)) else {
            return Err("a % is not followed by two hex digits".into());
        };
        bytes.push(u8::try_from(high * 16 + low).unwrap_or(0));
        rest = &rest[2..];
    }
    let text = String::from_utf8(bytes).map_err(|_| "its percent-codes are not UTF-8 text".to_owned())?;
    if text.chars().any(char::is_control) { Err("it has control characters".into()) } else { Ok(text) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(username: Option<&str>, host: &str, port: u16, path: &str) -> SftpUrl {
        SftpUrl { username: username.map(Into::into), host: host.into(), port, path: path.into() }
    }

    #[test]
    fn good_ones() {
        for (text, expected) in [
            ("sftp://host", url(None, "host", 22, "")),
            ("SFTP://u@host/", url(Some("u"), "host", 22, "")),
            ("sftp://u@host:2222/dir/", url(Some("u"), "host", 2222, "dir/")),
            ("sftp://u@host/dir/name.csv", url(Some("u"), "host", 22, "dir/name.csv")),
            ("sftp://u@host//abs/", url(Some("u"), "host", 22, "/abs/")),
            ("sftp://a%40b@host/x%2By+z/", url(Some("a@b"), "host", 22, "x+y+z/")),
            ("sftp://a@b@host/", url(Some("a@b"), "host", 22, "")),
            ("sftp://u@[::1]/d/", url(Some("u"), "::1", 22, "d/")),
            ("sftp://u@[fe80::1]:2022", url(Some("u"), "fe80::1", 2022, "")),
            ("sftp://10.0.0.1/%C3%A9/", url(None, "10.0.0.1", 22, "é/")),
        ] {
            assert_eq!(SftpUrl::parse(text).unwrap(), expected, "{text}");
        }
    }

    #[test]
    fn bad_ones_say_what_is_wrong() {
        for (text, problem) in [
            ("", "does not start with sftp://"),
            ("host:/dir", "does not start with sftp://"),
            ("ftps://u@host/", "ftps:// is not available"),
            ("sftp://", "has no host"),
            ("sftp:///dir/", "has no host"),
            ("sftp://u@/dir/", "has no host"),
            ("sftp://@host/", "user name"),
            ("sftp://u@host:0/", "is not a port"),
            ("sftp://u@host:65536/", "is not a port"),
            ("sftp://u@host:/", "is not a port"),
            ("sftp://u@host:ssh/", "is not a port"),
            ("sftp://::1/", "in brackets"),
            ("sftp://[::1/", "not closed"),
            ("sftp://[::1]2222/", "only :port"),
            ("sftp://[host]/", "not an IPv6 address"),
            ("sftp://ho st/", "not a host name"),
            ("sftp://u@host/%2", "two hex digits"),
            ("sftp://u@host/%zz/", "two hex digits"),
            ("sftp://u@host/%FF/", "UTF-8"),
            ("sftp://u@host/%0A/", "control characters"),
            ("sftp://u@host/a\nb", "control characters"),
            ("sftp://u@host/a/../b/", ".. in it"),
            ("sftp://u@host/a/%2E%2E/", ".. in it"),
            ("sftp://u@host/a?b", "? or #"),
        ] {
            let fault = SftpUrl::parse(text).unwrap_err();
            assert_eq!(fault.code, &code::USAGE);
            assert!(fault.message.contains(problem), "{text}: {fault}");
        }
    }

    #[test]
    fn passwords_are_refused_and_never_shown() {
        for text in [
            "sftp://u:geheim@host/",
            "sftp://u:ge/heim@host/",
            "sftp://u:@host/",
            "ftp://u:geheim@host/",
            "sftp://u:ge@heim@host/",
        ] {
            let fault = SftpUrl::parse(text).unwrap_err();
            assert!(!fault.report().contains("heim"), "{}", fault.report());
        }
        let fault = SftpUrl::parse("sftp://u:geheim@host/").unwrap_err();
        assert!(fault.hint().contains("--password-from"), "{}", fault.hint());
    }

    proptest::proptest! {
        #[test]
        fn no_text_makes_it_panic(text in ".{0,60}") {
            drop(SftpUrl::parse(&text));
            drop(SftpUrl::parse(&format!("sftp://{text}")));
        }
    }
}
