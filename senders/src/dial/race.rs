//! Happy eyeballs (RFC 8305): the addresses of a host, families interleaved, each started a little after the one before;
//! the first that connects wins.

use std::collections::VecDeque;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use outport_core::Code;
use tokio::task::JoinSet;

use super::io_code;

/// RFC 8305 section 5: the recommended wait before the next address is tried beside those that are under way.
pub(super) const ATTEMPT_DELAY: Duration = Duration::from_millis(250);

/// Why one address does not connect.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Problem {
    pub(super) code: &'static Code,
    pub(super) why: String,
}

impl Problem {
    pub(super) fn of(error: &io::Error) -> Self {
        Self { code: io_code(error), why: error.to_string() }
    }
}

/// The order in which to try: families take turns, beginning with that of the first address (section 4). The resolver's
/// order, which knows the routes (RFC 6724), holds within a family. An address that is named twice is tried once.
fn interleaved(addresses: Vec<SocketAddr>) -> VecDeque<SocketAddr> {
    let first_is_v4 = addresses.first().is_some_and(SocketAddr::is_ipv4);
    let (mut own, mut other): (VecDeque<_>, VecDeque<_>) =
        addresses.into_iter().partition(|address| address.is_ipv4() == first_is_v4);
    let mut order = VecDeque::new();
    while !own.is_empty() || !other.is_empty() {
        for address in own.pop_front().into_iter().chain(other.pop_front()) {
            if !order.contains(&address) {
                order.push_back(address);
            }
        }
    }
    order
}

/// Tries all of them with `connect`, the next one `delay` after the one before; what loses is dropped. `Err`: why each failed, in the order in which they were tried.
pub(super) async fn race<S, F>(
    addresses: Vec<SocketAddr>,
    delay: Duration,
    connect: impl Fn(SocketAddr) -> F,
) -> Result<S, Vec<(SocketAddr, Problem)>>
where
    S: Send + 'static,
    F: Future<Output = Result<S, Problem>> + Send + 'static,
{
    let mut waiting = interleaved(addresses);
    let order = waiting.clone();
    let mut trying = JoinSet::new();
    let mut problems = Vec::new();
    while let Some(address) = waiting.pop_front() {
        let one = connect(address);
        trying.spawn(async move { (address, one.await) });
        // One that failed makes way for the next at once; so does the delay.
        let ended = match waiting.is_empty() {
            false => tokio::time::timeout(delay, trying.join_next()).await.ok().flatten(),
            true => trying.join_next().await,
        };
        if let Some(stream) = won(ended, &mut problems) {
            return Ok(stream);
        }
    }
    while let Some(ended) = trying.join_next().await {
        if let Some(stream) = won(Some(ended), &mut problems) {
            return Ok(stream);
        }
    }
    problems.sort_by_key(|(address, _)| order.iter().position(|one| one == address));
    Err(problems)
}

type Ended<S> = Result<(SocketAddr, Result<S, Problem>), tokio::task::JoinError>;

fn won<S>(ended: Option<Ended<S>>, problems: &mut Vec<(SocketAddr, Problem)>) -> Option<S> {
    match ended {
        Some(Ok((_, Ok(stream)))) => Some(stream),
        Some(Ok((address, Err(problem)))) => {
            problems.push((address, problem));
            None
        }
        // A panic in a connect would be a bug of the runtime's; the other addresses go on.
        Some(Err(_)) | None => None,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use outport_core::code;
    use tokio::sync::Notify;

    use super::*;

    fn address(text: &str) -> SocketAddr {
        format!("{text}:22").parse().unwrap()
    }

    fn addresses(texts: &[&str]) -> Vec<SocketAddr> {
        texts.iter().map(|text| address(text)).collect()
    }

    #[test]
    fn families_take_turns_and_nothing_is_tried_twice() {
        for (given, order) in [
            (
                &["[::1]", "[::2]", "10.0.0.1", "10.0.0.2"][..],
                &["[::1]", "10.0.0.1", "[::2]", "10.0.0.2"][..],
            ),
            (&["10.0.0.1", "10.0.0.2", "[::1]"], &["10.0.0.1", "[::1]", "10.0.0.2"]),
            (&["10.0.0.1", "10.0.0.1"], &["10.0.0.1"]),
            (&[], &[]),
        ] {
            assert_eq!(Vec::from(interleaved(addresses(given))), addresses(order));
        }
    }

    const NEVER: Duration = Duration::from_secs(3600);
    const SOON: Duration = Duration::from_millis(1);

    fn refused() -> Problem {
        Problem { code: &code::ENDPOINT_REFUSED, why: "no".into() }
    }

    #[tokio::test]
    async fn a_dead_first_address_is_not_waited_for() {
        let all = addresses(&["[::1]", "10.0.0.1"]);
        let dead = all[0];
        let won = race(all.clone(), SOON, |at| async move {
            match at == dead {
                true => std::future::pending().await,
                false => Ok(at),
            }
        });
        assert_eq!(won.await, Ok(all[1]));
    }

    #[tokio::test]
    async fn a_refusal_makes_way_at_once() {
        let all = addresses(&["[::1]", "10.0.0.1"]);
        let won =
            race(all.clone(), NEVER, |at| async move { if at.is_ipv6() { Err(refused()) } else { Ok(at) } });
        assert_eq!(won.await, Ok(all[1]));
    }

    #[tokio::test]
    async fn a_slow_first_one_may_still_win() {
        let all = addresses(&["[::1]", "10.0.0.1"]);
        let second_started = Arc::new(Notify::new());
        let won = race(all.clone(), SOON, |at| {
            let second_started = Arc::clone(&second_started);
            async move {
                if at.is_ipv6() {
                    second_started.notified().await;
                    return Ok(at);
                }
                second_started.notify_one();
                std::future::pending().await
            }
        });
        assert_eq!(won.await, Ok(all[0]));
    }

    #[tokio::test]
    async fn every_failure_is_told_in_the_order_of_the_tries() {
        let all = addresses(&["[::1]", "[::2]", "10.0.0.1"]);
        let last_started = Arc::new(Notify::new());
        let lost = race(all.clone(), SOON, |at| {
            let last_started = Arc::clone(&last_started);
            async move {
                // The first ends last.
                match at.ip().to_string().as_str() {
                    "::1" => last_started.notified().await,
                    "::2" => last_started.notify_one(),
                    _ => {}
                }
                Err::<(), Problem>(refused())
            }
        });
        let lost: Vec<SocketAddr> = lost.await.unwrap_err().into_iter().map(|(address, _)| address).collect();
        assert_eq!(lost, addresses(&["[::1]", "10.0.0.1", "[::2]"]));
        let none = race(vec![], SOON, |_| async { Ok(()) }).await;
        assert_eq!(none, Err(vec![]));
    }
}
