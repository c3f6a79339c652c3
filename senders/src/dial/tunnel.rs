//! HTTP/1.1 CONNECT (RFC 9110 section 9.3.6), with Basic login (RFC 7617).

use base64ct::{Base64, Encoding};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use zeroize::Zeroizing;

use super::proxy::{ProxyLogin, Refusal};
use crate::target::bracketed;

/// More than any proxy's head of an answer; one that goes on is not listened to.
const HEAD_BYTES: usize = 16 * 1024;

/// Asks for a tunnel to `host`.
pub(super) async fn connect<S>(
    stream: &mut S,
    host: &str,
    port: u16,
    login: Option<&ProxyLogin>,
) -> Result<(), Refusal>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let request = request(host, port, login);
    stream.write_all(request.as_bytes()).await.map_err(|error| Refusal::broken(&error))?;
    let head = head(stream).await?;
    judge(&head, login.is_some())
}

fn request(host: &str, port: u16, login: Option<&ProxyLogin>) -> Zeroizing<String> {
    let to = format!("{}:{port}", bracketed(host));
    let login = login.map_or_else(Zeroizing::default, |login| {
        let pair = Zeroizing::new(format!("{}:{}", login.username, login.password.expose()));
        let encoded = Zeroizing::new(Base64::encode_string(pair.as_bytes()));
        Zeroizing::new(format!("Proxy-Authorization: Basic {}\r\n", *encoded))
    });
    Zeroizing::new(format!("CONNECT {to} HTTP/1.1\r\nHost: {to}\r\n{}\r\n", *login))
}

/// Up to the empty line, one byte at a time: what comes behind it is the server's, and a server may speak first.
async fn head<S: AsyncRead + Unpin>(stream: &mut S) -> Result<Vec<u8>, Refusal> {
    let mut head = Vec::with_capacity(256);
    while !head.ends_with(b"\r\n\r\n") {
        if head.len() >= HEAD_BYTES {
            return Err(Refusal::failed("the proxy's answer does not end"));
        }
        head.push(stream.read_u8().await.map_err(|error| Refusal::broken(&error))?);
        if head.len() == 5 && head != b"HTTP/" {
            return Err(Refusal::failed("what answers there is not an HTTP proxy"));
        }
    }
    Ok(head)
}

/// Any 2xx is a tunnel, and has no content (section 9.3.6).
fn judge(head: &[u8], logged_in: bool) -> Result<(), Refusal> {
    let line = head.split(|byte| *byte == b'\r').next().unwrap_or_default();
    let line = String::from_utf8_lossy(line);
    let mut words = line.splitn(3, ' ');
    let version = words.next().unwrap_or_default();
    let status = words.next().and_then(|status| status.parse::<u16>().ok());
    let Some(status) = status.filter(|status| version.starts_with("HTTP/1.") && (100..=599).contains(status))
    else {
        return Err(Refusal::failed("what answers there is not an HTTP/1.1 proxy"));
    };
    let said: String =
        words.next().unwrap_or_default().chars().filter(|c| !c.is_control()).take(100).collect();
    match (status, logged_in) {
        (200..=299, _) => Ok(()),
        (407, false) => Err(Refusal::refused(
            "the proxy wants a login, and there is none (proxy_username, proxy_password)",
        )),
        (407, true) => {
            Err(Refusal::refused(format!("the proxy refused its user name or password: 407 {said}")))
        }
        _ => Err(Refusal::refused(format!("the proxy answered {}", format!("{status} {said}").trim_end()))),
    }
}

#[cfg(test)]
mod tests {
    use outport_core::code;
    use tokio::io::duplex;

    use super::*;
    use crate::secret::Secret;

    #[test]
    fn the_request_is_that_of_the_rfc() {
        assert_eq!(*request("h", 22, None), "CONNECT h:22 HTTP/1.1\r\nHost: h:22\r\n\r\n");
        // The example of RFC 7617 section 2.
        let login = ProxyLogin { username: "Aladdin".into(), password: Secret::new("open sesame") };
        let said = request("::1", 2222, Some(&login));
        assert!(said.starts_with("CONNECT [::1]:2222 HTTP/1.1\r\nHost: [::1]:2222\r\n"), "{}", *said);
        assert!(
            said.ends_with("Proxy-Authorization: Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==\r\n\r\n"),
            "{}",
            *said
        );
    }

    #[tokio::test]
    async fn any_2xx_is_a_tunnel_and_what_follows_is_left_unread() {
        for answer in [
            "HTTP/1.1 200 OK\r\n\r\n",
            "HTTP/1.0 200\r\nVia: x\r\nContent-Length: 5\r\n\r\n",
            "HTTP/1.1 204 \r\n\r\n",
        ] {
            let (mut near, mut far) = duplex(4096);
            far.write_all(format!("{answer}SSH-2.0").as_bytes()).await.unwrap();
            connect(&mut near, "h", 22, None).await.unwrap();
            let mut rest = [0; 7];
            near.read_exact(&mut rest).await.unwrap();
            assert_eq!(&rest, b"SSH-2.0");
        }
    }

    #[tokio::test]
    async fn every_other_answer_is_a_refusal_or_a_failure() {
        let endless = format!("HTTP/1.1 200 OK\r\n{}", "X: y\r\n".repeat(4000));
        for (answer, code, why) in [
            ("HTTP/1.1 403 Forbidden\r\n\r\n", &code::ENDPOINT_PROXY_REFUSED, "403 Forbidden"),
            ("HTTP/1.1 502 Bad\u{1b}Gateway\r\n\r\n", &code::ENDPOINT_PROXY_REFUSED, "502 BadGateway"),
            ("HTTP/1.1 407 Login\r\n\r\n", &code::ENDPOINT_PROXY_REFUSED, "wants a login"),
            ("HTTP/2 200\r\n\r\n", &code::ENDPOINT_PROXY_FAILED, "not an HTTP/1.1"),
            ("HTTP/1.1 OK\r\n\r\n", &code::ENDPOINT_PROXY_FAILED, "not an HTTP/1.1"),
            ("SSH-2.0-OpenSSH_9.2\r\n", &code::ENDPOINT_PROXY_FAILED, "not an HTTP proxy"),
            ("HTTP/1.1 200 OK\r\n", &code::ENDPOINT_PROXY_FAILED, "closed the connection"),
            ("", &code::ENDPOINT_PROXY_FAILED, "closed the connection"),
            (&endless, &code::ENDPOINT_PROXY_FAILED, "does not end"),
        ] {
            let (mut near, mut far) = duplex(64 * 1024);
            far.write_all(answer.as_bytes()).await.unwrap();
            far.shutdown().await.unwrap();
            let refusal = connect(&mut near, "h", 22, None).await.unwrap_err();
            assert_eq!(refusal.code, code, "{answer:.40}");
            assert!(refusal.problem.contains(why), "{answer:.40}: {}", refusal.problem);
        }
    }
}
