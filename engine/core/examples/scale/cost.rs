//! What containers of Fargate cost: one for each file, or workers that drain.

/// Prices, and from where a container counts.
#[derive(Debug, Clone, Copy)]
pub struct Prices {
    /// Dollars for a vCPU and an hour.
    pub vcpu_hour: f64,
    /// Dollars for a GB of memory and an hour.
    pub gb_hour: f64,
    /// A container that ran for less is charged for this, in seconds.
    pub least_s: f64,
}

/// Linux on x86 in us-east-1 as other people's pages say it (docs/SCALE.md names them); AWS itself was not asked.
pub const PRICES: Prices = Prices { vcpu_hour: 0.040_48, gb_hour: 0.004_445, least_s: 60.0 };

/// How large a container is.
#[derive(Debug, Clone, Copy)]
pub struct Size {
    pub vcpu: f64,
    pub gb: f64,
}

/// The smallest one that Fargate has.
pub const LEAST: Size = Size { vcpu: 0.25, gb: 0.5 };
/// `ServiceSize` of the template.
pub const SMALL: Size = Size { vcpu: 0.25, gb: 1.0 };
/// `WorkerSize` of the template.
pub const MEDIUM: Size = Size { vcpu: 0.5, gb: 2.0 };

/// Fargate starts so many containers a second, in the long run.
pub const STARTS_PER_SECOND: f64 = 20.0;

/// How containers spend their time.
#[derive(Debug, Clone, Copy)]
pub struct Work {
    /// From the request to the first file, in seconds. All of it is charged here; AWS begins with the image's download.
    pub start_s: f64,
    /// How long a drained worker takes work, in seconds.
    pub work_s: f64,
    /// Files that a drained worker does in a second.
    pub files_per_second: f64,
    /// How long one file takes by itself, in seconds.
    pub file_s: f64,
}

impl Default for Work {
    fn default() -> Self {
        Self { start_s: 30.0, work_s: 240.0, files_per_second: 20.0, file_s: 1.25 }
    }
}

/// What it comes to.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Bill {
    pub containers: u64,
    pub dollars: f64,
    /// Less time than this is not possible: so long do the starts take.
    pub hours_of_starts: f64,
}

impl Prices {
    /// One container of this size for so many seconds.
    pub fn container(&self, size: Size, seconds: f64) -> f64 {
        let hours = seconds.ceil().max(self.least_s) / 3_600.0;
        hours * (size.vcpu * self.vcpu_hour + size.gb * self.gb_hour)
    }

    fn bill(&self, containers: u64, size: Size, seconds: f64) -> Bill {
        Bill {
            containers,
            dollars: containers as f64 * self.container(size, seconds),
            hours_of_starts: containers as f64 / STARTS_PER_SECOND / 3_600.0,
        }
    }

    /// A container for each file.
    pub fn one_per_file(&self, files: u64, work: Work, size: Size) -> Bill {
        self.bill(files, size, work.start_s + work.file_s)
    }

    /// Workers that take whatever is due for some minutes, all of them full.
    pub fn drained(&self, files: u64, work: Work, size: Size) -> Bill {
        let each = (work.files_per_second * work.work_s).max(1.0);
        self.bill((files as f64 / each).ceil() as u64, size, work.start_s + work.work_s)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MILLION: u64 = 1_000_000;

    fn near(got: f64, want: f64) {
        assert!((got - want).abs() < 0.005, "{got} is not {want}");
    }

    #[test]
    fn a_container_is_charged_for_a_minute_at_least_and_by_whole_seconds() {
        let hour = Prices { vcpu_hour: 3_600.0, gb_hour: 0.0, least_s: 60.0 };
        let one = Size { vcpu: 1.0, gb: 0.0 };
        for (seconds, want) in [(0.0, 60.0), (59.0, 60.0), (60.0, 60.0), (60.2, 61.0), (270.0, 270.0)] {
            near(hour.container(one, seconds), want);
        }
    }

    /// Done by hand: 0.5 vCPU and 2 GB are 0.029130 dollars an hour.
    #[test]
    fn a_million_files_by_hand() {
        let each = PRICES.one_per_file(MILLION, Work::default(), MEDIUM);
        assert_eq!(each.containers, MILLION);
        near(each.dollars, 0.029_13 / 60.0 * 1e6);
        near(each.hours_of_starts, 13.89);
        // 20 files/s for 240 s are 4,800 files; 270 s are charged.
        let drained = PRICES.drained(MILLION, Work::default(), MEDIUM);
        assert_eq!(drained.containers, 209);
        near(drained.dollars, 209.0 * 0.029_13 * 270.0 / 3_600.0);
    }

    #[test]
    fn draining_is_never_dearer_once_a_worker_does_more_than_five_files() {
        for files_per_second in [0.01, 0.02, 0.1, 1.0, 20.0, 200.0] {
            let work = Work { files_per_second, ..Work::default() };
            let (each, drained) =
                (PRICES.one_per_file(MILLION, work, MEDIUM), PRICES.drained(MILLION, work, MEDIUM));
            // 270 s of a worker against 60 s a file.
            let expected = files_per_second * work.work_s >= 4.5;
            assert_eq!(drained.dollars <= each.dollars * 1.000_001, expected, "{files_per_second}");
        }
    }
}
