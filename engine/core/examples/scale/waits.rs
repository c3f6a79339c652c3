//! How long deliveries waited, counted by seconds.

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Waits {
    by_second: Vec<u64>,
    all: u64,
}

impl Waits {
    pub fn add(&mut self, seconds: i64, deliveries: u64) {
        if deliveries == 0 {
            return;
        }
        let second = usize::try_from(seconds).unwrap_or(0);
        if self.by_second.len() <= second {
            self.by_second.resize(second + 1, 0);
        }
        self.by_second[second] += deliveries;
        self.all += deliveries;
    }

    /// This part of the deliveries (`0.0..=1.0`) waited no longer, in seconds. `None`: there were none.
    pub fn within(&self, part: f64) -> Option<usize> {
        let wanted = ((self.all as f64 * part).ceil() as u64).max(1);
        let mut seen = 0;
        self.by_second.iter().position(|deliveries| {
            seen += deliveries;
            seen >= wanted
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_of_deliveries_and_not_of_seconds() {
        let mut waits = Waits::default();
        assert_eq!(waits.within(0.5), None);
        waits.add(0, 98);
        waits.add(7, 1);
        waits.add(90, 1);
        assert_eq!(
            [0.5, 0.98, 0.99, 1.0].map(|part| waits.within(part)),
            [Some(0), Some(0), Some(7), Some(90)]
        );
    }
}
