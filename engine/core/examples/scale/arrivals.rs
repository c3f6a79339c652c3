//! When files come, and for whom.

/// Seconds of a day.
pub const DAY: i64 = 86_400;

/// Weight of each hour: an office's day, its busiest hour 2.2 times the mean.
const HOURS: [u32; 24] = [1, 1, 1, 1, 1, 2, 3, 5, 8, 10, 10, 9, 8, 9, 9, 8, 7, 5, 3, 2, 2, 2, 2, 1];

/// How the day's files are spread over its hours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// As an office works.
    Office,
    /// The same in each hour.
    Flat,
}

/// The part of the day's files that has come by each second.
#[derive(Debug)]
pub struct Profile(Vec<f64>);

impl Profile {
    pub fn new(shape: Shape) -> Self {
        let weight = |second: i64| match shape {
            Shape::Office => f64::from(HOURS[usize::try_from(second / 3_600).unwrap_or(0) % 24]),
            Shape::Flat => 1.0,
        };
        let all: f64 = (0..DAY).map(weight).sum();
        let mut part = 0.0;
        let mut parts = vec![0.0];
        for second in 0..DAY {
            part += weight(second) / all;
            parts.push(part.min(1.0));
        }
        // Whatever the additions lost.
        if let Some(last) = parts.last_mut() {
            *last = 1.0;
        }
        Self(parts)
    }

    /// How many times the mean the busiest hour has.
    pub fn busiest(&self) -> f64 {
        let hour = |hour: i64| self.at((hour + 1) * 3_600) - self.at(hour * 3_600);
        (0..24).map(|h| hour(h) * 24.0).fold(0.0, f64::max)
    }

    fn at(&self, second: i64) -> f64 {
        self.0[usize::try_from(second.clamp(0, DAY)).unwrap_or(0)]
    }
}

/// What one endpoint gets in the day.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stream {
    /// Deliveries.
    pub total: u64,
    /// They come together, each so many seconds.
    pub every: i64,
    /// The first of those times.
    pub first: i64,
}

impl Stream {
    /// Deliveries that have come by the end of `second`.
    pub fn arrived(&self, profile: &Profile, second: i64) -> u64 {
        let rounds = (second + 1 - self.first).div_euclid(self.every);
        let until = rounds * self.every + self.first;
        if until >= DAY { self.total } else { (self.total as f64 * profile.at(until)) as u64 }
    }

    /// By then all of them have come.
    pub fn end(&self) -> i64 {
        DAY + self.every
    }
}

/// `total` in parts that fall with the rank to the power of `skew` (Zipf), the largest first; together exactly `total`.
pub fn zipf(total: u64, parts: usize, skew: f64) -> Vec<u64> {
    let weights: Vec<f64> = (1..=parts).map(|rank| (rank as f64).powf(-skew)).collect();
    let all: f64 = weights.iter().sum();
    let (mut weight, mut given) = (0.0, 0);
    let mut shares: Vec<u64> = weights
        .iter()
        .map(|part| {
            weight += part;
            let upto = (total as f64 * weight / all).round() as u64;
            let share = upto.saturating_sub(given);
            given = upto.max(given);
            share
        })
        .collect();
    if let Some(last) = shares.last_mut() {
        *last = (*last + total).saturating_sub(given);
    }
    shares
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_lost_in_the_spreading() {
        for (total, parts, skew) in [(20_000_000, 1_000, 0.8), (7, 3, 1.0), (1_000_003, 17, 0.0)] {
            let shares = zipf(total, parts, skew);
            assert_eq!(shares.iter().sum::<u64>(), total);
            assert!(shares.windows(2).all(|pair| pair[0] + 1 >= pair[1]), "the largest first: {shares:?}");
        }
    }

    #[test]
    fn a_stream_only_grows_and_comes_whole() {
        for shape in [Shape::Office, Shape::Flat] {
            let profile = Profile::new(shape);
            for (every, first) in [(1, 0), (900, 0), (900, 450)] {
                let stream = Stream { total: 1_234_567, every, first };
                let mut before = 0;
                for second in 0..=stream.end() {
                    let now = stream.arrived(&profile, second);
                    assert!(now >= before, "{second}");
                    assert!(now == before || (second + 1 - first) % every == 0, "{second} is no time for it");
                    before = now;
                }
                assert_eq!(before, stream.total);
            }
        }
    }

    #[test]
    fn the_busiest_hour_of_an_office_is_twice_the_mean() {
        let busiest = Profile::new(Shape::Office).busiest();
        assert!((2.1..2.3).contains(&busiest), "{busiest}");
    }
}
