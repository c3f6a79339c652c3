//! From a name to a TCP connection: straight or through a proxy, over all addresses of the host.

mod proxy;
mod race;
mod socks5;
mod tunnel;

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use outport_core::{Code, Fault, code};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::timeout;

pub use self::proxy::{Proxy, ProxyKind, ProxyLogin};
use self::race::{ATTEMPT_DELAY, Problem, race};
use crate::target::{Target, bracketed};

/// The way to a server.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Route {
    /// What stands between.
    pub proxy: Option<Proxy>,
    /// The address of this machine from which connections start. Only addresses of its family are tried.
    pub source_address: Option<IpAddr>,
}

/// Connects to the target's host and port, or to the proxy and through it.
///
/// # Errors
/// `endpoint.dns`, or how every address failed; with a proxy, `endpoint.proxy_failed` and `endpoint.proxy_refused`.
pub(crate) async fn dial(target: &Target) -> Result<TcpStream, Fault> {
    let place = target.place();
    let (route, limit) = (&target.route, target.timeouts.connect);
    let Some(proxy) = &route.proxy else {
        let doing = format!("connect to {place}");
        return connect(&target.host, target.port, route.source_address, limit, &doing).await;
    };
    let doing = format!("reach {proxy} on the way to {place}");
    let stream = connect(&proxy.host, proxy.port, route.source_address, limit, &doing)
        .await
        .map_err(|fault| Fault::new(&code::ENDPOINT_PROXY_FAILED, fault.message))?;
    let through = proxy.connect(stream, &target.host, target.port);
    timeout(limit, through).await.unwrap_or(Err(proxy::Refusal::silent(limit))).map_err(|refusal| {
        let message = format!("could not connect to {place} through {proxy}: {}", refusal.problem);
        Fault::new(refusal.code, message)
    })
}

async fn connect(
    host: &str,
    port: u16,
    source: Option<IpAddr>,
    limit: Duration,
    doing: &str,
) -> Result<TcpStream, Fault> {
    let found = timeout(limit, tokio::net::lookup_host((host, port))).await;
    let unknown = |why: String| Fault::new(&code::ENDPOINT_DNS, format!("could not {doing}: {why}"));
    let host = bracketed(host);
    let addresses: Vec<SocketAddr> = match found {
        Ok(Ok(addresses)) => addresses.collect(),
        Ok(Err(error)) => return Err(unknown(format!("no address of {host}: {error}"))),
        Err(_) => return Err(unknown(format!("no answer to what the address of {host} is"))),
    };
    if addresses.is_empty() {
        return Err(unknown(format!("{host} has no address")));
    }
    let mine: Vec<SocketAddr> = addresses
        .into_iter()
        .filter(|address| source.is_none_or(|s| s.is_ipv4() == address.is_ipv4()))
        .collect();
    if let (true, Some(source)) = (mine.is_empty(), source) {
        let family = if source.is_ipv4() { "IPv4" } else { "IPv6" };
        let message =
            format!("could not {doing}: {host} has no {family} address, and the source address is {source}");
        return Err(Fault::new(&code::ENDPOINT_UNREACHABLE, message));
    }
    race(mine, ATTEMPT_DELAY, move |address| start(address, source, limit)).await.map_err(|problems| {
        let said: Vec<String> =
            problems.iter().map(|(address, problem)| format!("{}: {}", address.ip(), problem.why)).collect();
        Fault::new(worst(&problems), format!("could not {doing}: {}", said.join("; ")))
    })
}

/// One address.
async fn start(address: SocketAddr, source: Option<IpAddr>, limit: Duration) -> Result<TcpStream, Problem> {
    let connecting = async {
        let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() };
        let socket = socket.map_err(|error| Problem::of(&error))?;
        if let Some(source) = source {
            socket.bind(SocketAddr::new(source, 0)).map_err(|error| Problem {
                code: &code::ENDPOINT_UNREACHABLE,
                why: format!("cannot start from {source}: {error}"),
            })?;
        }
        let stream = socket.connect(address).await.map_err(|error| Problem::of(&error))?;
        // A handful of small packets per file: waiting to fill them costs a round trip each.
        stream.set_nodelay(true).map_err(|error| Problem::of(&error))?;
        Ok(stream)
    };
    timeout(limit, connecting).await.unwrap_or_else(|_| {
        let why = format!("no answer within {:.1} s", limit.as_secs_f64());
        Err(Problem { code: &code::ENDPOINT_TIMEOUT, why })
    })
}

/// The code of the address that came nearest to a connection: a machine that answered says more than a missing route.
fn worst(problems: &[(SocketAddr, Problem)]) -> &'static Code {
    let nearest = [&code::ENDPOINT_REFUSED, &code::ENDPOINT_RESET, &code::ENDPOINT_TIMEOUT];
    nearest
        .into_iter()
        .find(|code| problems.iter().any(|(_, problem)| problem.code == *code))
        .unwrap_or(&code::ENDPOINT_UNREACHABLE)
}

/// Which fault an error of the socket is.
pub(crate) fn io_code(error: &io::Error) -> &'static Code {
    use io::ErrorKind;
    match error.kind() {
        ErrorKind::ConnectionRefused => &code::ENDPOINT_REFUSED,
        ErrorKind::TimedOut => &code::ENDPOINT_TIMEOUT,
        ErrorKind::HostUnreachable
        | ErrorKind::NetworkUnreachable
        | ErrorKind::NetworkDown
        | ErrorKind::AddrNotAvailable => &code::ENDPOINT_UNREACHABLE,
        _ => &code::ENDPOINT_RESET,
    }
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;

    use super::*;

    const LIMIT: Duration = Duration::from_secs(20);

    async fn closed() -> SocketAddr {
        TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap()
    }

    #[tokio::test]
    async fn a_closed_address_makes_way_for_an_open_one() {
        let open = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addresses = vec![closed().await, open.local_addr().unwrap()];
        let stream =
            race(addresses, ATTEMPT_DELAY, move |address| start(address, None, LIMIT)).await.unwrap();
        assert_eq!(stream.peer_addr().unwrap(), open.local_addr().unwrap());
        assert!(stream.nodelay().unwrap());
    }

    #[tokio::test]
    async fn a_fault_has_the_code_of_the_address_that_came_nearest() {
        let problem = |code| Problem { code, why: String::new() };
        let all = |codes: &[&'static Code]| -> Vec<(SocketAddr, Problem)> {
            codes.iter().map(|code| (([127, 0, 0, 1], 1).into(), problem(code))).collect()
        };
        for (codes, code) in [
            (&[&code::ENDPOINT_UNREACHABLE, &code::ENDPOINT_REFUSED][..], &code::ENDPOINT_REFUSED),
            (&[&code::ENDPOINT_TIMEOUT, &code::ENDPOINT_UNREACHABLE], &code::ENDPOINT_TIMEOUT),
            (&[&code::ENDPOINT_UNREACHABLE], &code::ENDPOINT_UNREACHABLE),
        ] {
            assert_eq!(worst(&all(codes)), code);
        }
        let fault =
            connect("127.0.0.1", closed().await.port(), None, LIMIT, "connect to acme").await.unwrap_err();
        assert_eq!(fault.code, &code::ENDPOINT_REFUSED);
        assert!(fault.message.starts_with("could not connect to acme: 127.0.0.1: "), "{fault}");
    }

    #[tokio::test]
    async fn a_source_address_is_bound_and_keeps_to_its_family() {
        let open = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = open.local_addr().unwrap().port();
        let source = "127.0.0.3".parse().unwrap();
        let stream = connect("127.0.0.1", port, Some(source), LIMIT, "connect").await.unwrap();
        assert_eq!(stream.local_addr().unwrap().ip(), source);
        let v6 = "::1".parse().unwrap();
        let fault = connect("127.0.0.1", port, Some(v6), LIMIT, "connect").await.unwrap_err();
        assert_eq!(fault.code, &code::ENDPOINT_UNREACHABLE);
        assert!(
            fault.message.contains("127.0.0.1 has no IPv6 address, and the source address is ::1"),
            "{fault}"
        );
    }
}
