//! SOCKS 5 (RFC 1928) with no login or user name and password (RFC 1929).

use std::net::IpAddr;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use super::proxy::{ProxyLogin, Refusal};

const VERSION: u8 = 5;
const NO_LOGIN: u8 = 0;
const PASSWORD: u8 = 2;
const CONNECT: u8 = 1;

/// Asks for a connection to `host`. An address goes as such, a name as it is: the proxy resolves it.
pub(super) async fn connect<S>(
    stream: &mut S,
    host: &str,
    port: u16,
    login: Option<&ProxyLogin>,
) -> Result<(), Refusal>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let request = request(host, port)
        .ok_or_else(|| Refusal::refused("a host name for a SOCKS proxy has at most 255 bytes"))?;
    // Section 3: with a login at hand, both are offered and the proxy chooses.
    let greeting: &[u8] =
        if login.is_some() { &[VERSION, 2, NO_LOGIN, PASSWORD] } else { &[VERSION, 1, NO_LOGIN] };
    say(stream, greeting).await?;
    let [version, method] = hear(stream).await?;
    if version != VERSION {
        return Err(not_socks());
    }
    match (method, login) {
        (NO_LOGIN, _) => {}
        (PASSWORD, Some(login)) => log_in(stream, login).await?,
        (_, Some(_)) => {
            return Err(Refusal::refused("the proxy takes neither no login nor user name and password"));
        }
        (_, None) => {
            return Err(Refusal::refused(
                "the proxy wants a login, and there is none (proxy_username, proxy_password)",
            ));
        }
    }
    say(stream, &request).await?;
    let [version, reply, _reserved, kind] = hear(stream).await?;
    if version != VERSION {
        return Err(not_socks());
    }
    if reply != 0 {
        return Err(Refusal::refused(format!("the proxy answered {}", reason(reply))));
    }
    // Section 6: the address from which the proxy connected; of no matter, but it has to be read.
    let length = match kind {
        1 => 4,
        4 => 16,
        3 => usize::from(hear::<_, 1>(stream).await?[0]),
        _ => return Err(not_socks()),
    };
    let mut address = vec![0; length + 2];
    stream.read_exact(&mut address).await.map_err(|error| Refusal::broken(&error))?;
    Ok(())
}

/// RFC 1929 section 2.
async fn log_in<S>(stream: &mut S, login: &ProxyLogin) -> Result<(), Refusal>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let (name, password) = (login.username.as_bytes(), login.password.expose().as_bytes());
    let lengths = (u8::try_from(name.len()), u8::try_from(password.len()));
    let (Ok(name_length), Ok(password_length)) = lengths else {
        return Err(Refusal::refused("user name and password of a SOCKS proxy have at most 255 bytes"));
    };
    let request = zeroize::Zeroizing::new([&[1, name_length], name, &[password_length], password].concat());
    say(stream, &request).await?;
    match hear(stream).await? {
        [_, 0] => Ok(()),
        [_, _] => Err(Refusal::refused("the proxy refused its user name or password")),
    }
}

/// Section 4.
fn request(host: &str, port: u16) -> Option<Vec<u8>> {
    let mut bytes = vec![VERSION, CONNECT, 0];
    match host.parse::<IpAddr>() {
        Ok(IpAddr::V4(address)) => {
            bytes.push(1);
            bytes.extend(address.octets());
        }
        Ok(IpAddr::V6(address)) => {
            bytes.push(4);
            bytes.extend(address.octets());
        }
        Err(_) => {
            bytes.extend([3, u8::try_from(host.len()).ok()?]);
            bytes.extend(host.as_bytes());
        }
    }
    bytes.extend(port.to_be_bytes());
    Some(bytes)
}

/// Section 6.
fn reason(reply: u8) -> String {
    let words = match reply {
        1 => "general failure",
        2 => "connection not allowed by its rules",
        3 => "network unreachable",
        4 => "host unreachable",
        5 => "connection refused",
        6 => "TTL expired",
        7 => "command not supported",
        8 => "address type not supported",
        _ => "a number that means nothing",
    };
    format!("{reply}: {words}")
}

fn not_socks() -> Refusal {
    Refusal::failed("what answers there is not a SOCKS 5 proxy")
}

async fn say<S: AsyncWrite + Unpin>(stream: &mut S, bytes: &[u8]) -> Result<(), Refusal> {
    stream.write_all(bytes).await.map_err(|error| Refusal::broken(&error))
}

async fn hear<S: AsyncRead + Unpin, const N: usize>(stream: &mut S) -> Result<[u8; N], Refusal> {
    let mut bytes = [0; N];
    stream.read_exact(&mut bytes).await.map_err(|error| Refusal::broken(&error))?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use outport_core::code;
    use tokio::io::{AsyncReadExt, duplex};

    use super::*;
    use crate::secret::Secret;

    #[test]
    fn addresses_go_as_such_and_names_as_they_are() {
        assert_eq!(request("10.0.0.1", 22), Some(vec![5, 1, 0, 1, 10, 0, 0, 1, 0, 22]));
        assert_eq!(
            request("h.example", 2222),
            Some([&[5, 1, 0, 3, 9], &b"h.example"[..], &[8, 174]].concat())
        );
        let v6 = request("::1", 22).unwrap();
        assert_eq!((v6.len(), &v6[..4], v6[19]), (22, &[5, 1, 0, 4][..], 1));
        assert_eq!(request(&"h".repeat(256), 22), None);
    }

    fn login() -> ProxyLogin {
        ProxyLogin { username: "me".into(), password: Secret::new("pw") }
    }

    /// What comes of a proxy that says all this whatever it hears, what it heard, and what was left unread.
    async fn talk(says: &[u8], login: Option<&ProxyLogin>) -> (Result<(), Refusal>, Vec<u8>, Vec<u8>) {
        let (mut near, mut far) = duplex(4096);
        far.write_all(says).await.unwrap();
        far.shutdown().await.unwrap();
        let ended = connect(&mut near, "h", 22, login).await;
        let (mut heard, mut rest) = (Vec::new(), Vec::new());
        near.read_to_end(&mut rest).await.unwrap();
        near.shutdown().await.unwrap();
        far.read_to_end(&mut heard).await.unwrap();
        (ended, heard, rest)
    }

    #[tokio::test]
    async fn a_connection_leaves_what_the_server_says_unread() {
        let ok = [&[5, 0, 5, 0, 0, 1, 0, 0, 0, 0, 0, 0][..], b"SSH-2.0-x\r\n"].concat();
        let (ended, heard, rest) = talk(&ok, None).await;
        assert_eq!((ended, rest.as_slice()), (Ok(()), &b"SSH-2.0-x\r\n"[..]));
        assert_eq!(heard, [&[5, 1, 0], &request("h", 22).unwrap()[..]].concat());
        for bound in [[&[4][..], &[0; 16]].concat(), [&[3, 4][..], b"name"].concat()] {
            let says = [&[5, 0, 5, 0, 0][..], &bound, &[0, 0]].concat();
            assert_eq!(talk(&says, None).await.0, Ok(()));
        }
    }

    #[tokio::test]
    async fn a_login_is_given_when_it_is_asked_for() {
        let says = [5, 2, 1, 0, 5, 0, 0, 1, 0, 0, 0, 0, 0, 0];
        let (ended, heard, _) = talk(&says, Some(&login())).await;
        assert_eq!(ended, Ok(()));
        assert_eq!(heard[..4], [5, 2, 0, 2]);
        assert_eq!(heard[4..11], [1, 2, b'm', b'e', 2, b'p', b'w']);
    }

    #[tokio::test]
    async fn every_other_answer_is_a_refusal_or_a_failure() {
        let with = login();
        let with = Some(&with);
        for (says, login, code, why) in [
            (&[5, 0xff][..], None, &code::ENDPOINT_PROXY_REFUSED, "wants a login"),
            (&[5, 2], None, &code::ENDPOINT_PROXY_REFUSED, "wants a login"),
            (&[5, 0xff], with, &code::ENDPOINT_PROXY_REFUSED, "takes neither"),
            (&[5, 2, 1, 1], with, &code::ENDPOINT_PROXY_REFUSED, "refused its user name"),
            (&[5, 0, 5, 2, 0, 1], None, &code::ENDPOINT_PROXY_REFUSED, "2: connection not allowed"),
            (&[5, 0, 5, 99, 0, 1], None, &code::ENDPOINT_PROXY_REFUSED, "99: a number"),
            (&[5, 0, 5, 0, 0, 9], None, &code::ENDPOINT_PROXY_FAILED, "not a SOCKS 5"),
            (b"HTTP/1.1 400", None, &code::ENDPOINT_PROXY_FAILED, "not a SOCKS 5"),
            (b"SSH-2.0-OpenSSH", None, &code::ENDPOINT_PROXY_FAILED, "not a SOCKS 5"),
            (&[5], None, &code::ENDPOINT_PROXY_FAILED, "closed the connection"),
            (&[5, 0, 5, 0, 0, 1, 0], None, &code::ENDPOINT_PROXY_FAILED, "closed the connection"),
        ] {
            let refusal = talk(says, login).await.0.unwrap_err();
            assert_eq!(refusal.code, code, "{says:?}");
            assert!(refusal.problem.contains(why), "{says:?}: {}", refusal.problem);
        }
    }
}
