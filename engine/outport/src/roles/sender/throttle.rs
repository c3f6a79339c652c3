//! The speed limit of an endpoint (`max_bytes_per_second`), shared by all files that this process sends there.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use outport_core::EndpointId;
use tokio::time::Instant;

/// Who sends after whom: each piece takes the line for as long as its bytes need, and the next one begins when it ends.
#[derive(Debug)]
pub struct Throttle {
    bytes_per_second: u64,
    free_at: Mutex<Instant>,
}

impl Throttle {
    fn new(bytes_per_second: u64) -> Self {
        Self { bytes_per_second: bytes_per_second.max(1), free_at: Mutex::new(Instant::now()) }
    }

    /// Returns when `bytes` more may be sent.
    pub async fn pass(&self, bytes: usize) {
        tokio::time::sleep_until(self.turn(bytes, Instant::now())).await;
    }

    /// When these bytes may be sent, asked at `now`. Time in which nobody sent is not saved up: the partner's line is as
    /// narrow after a pause.
    fn turn(&self, bytes: usize, now: Instant) -> Instant {
        let takes = Duration::from_secs_f64(bytes as f64 / self.bytes_per_second as f64);
        let mut free_at = self.free_at.lock().unwrap_or_else(PoisonError::into_inner);
        let begin = (*free_at).max(now);
        *free_at = begin + takes;
        begin
    }
}

/// The limits of this process, by endpoint.
#[derive(Debug, Default)]
pub struct Throttles(Mutex<BTreeMap<EndpointId, Arc<Throttle>>>);

impl Throttles {
    /// The throttle of an endpoint; a changed limit begins a new one.
    pub fn of(&self, endpoint: EndpointId, limit: Option<u64>) -> Option<Arc<Throttle>> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(limit) = limit else {
            all.remove(&endpoint);
            return None;
        };
        let throttle = all.entry(endpoint).or_insert_with(|| Arc::new(Throttle::new(limit)));
        if throttle.bytes_per_second != limit.max(1) {
            *throttle = Arc::new(Throttle::new(limit));
        }
        Some(throttle.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_files_share_the_line() {
        let throttles = Throttles::default();
        let endpoint = EndpointId::from_uuid(uuid::Uuid::from_u128(1));
        let one = throttles.of(endpoint, Some(1_000)).unwrap();
        let other = throttles.of(endpoint, Some(1_000)).unwrap();
        let now = Instant::now() + Duration::from_secs(10);
        let turns: Vec<u128> = [&one, &other, &one]
            .map(|throttle| throttle.turn(500, now).duration_since(now).as_millis())
            .into();
        assert_eq!(turns, [0, 500, 1_000]);
        let later = now + Duration::from_secs(60);
        assert_eq!(one.turn(500, later), later, "a pause saves nothing up");
        assert!(throttles.of(endpoint, None).is_none());
    }
}
