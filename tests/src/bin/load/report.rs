//! What was measured, as one line.

use std::fmt::Write as _;
use std::time::Duration;

/// Durations, as many as there were.
#[derive(Debug, Default)]
pub(crate) struct Latencies {
    micros: Vec<u32>,
}

impl Latencies {
    pub(crate) fn push(&mut self, latency: Duration) {
        self.micros
            .push(u32::try_from(latency.as_micros()).unwrap_or(u32::MAX));
    }

    pub(crate) fn extend(&mut self, other: Self) {
        self.micros.extend(other.micros);
    }

    pub(crate) fn len(&self) -> usize {
        self.micros.len()
    }

    /// The percentiles as pairs with this name before them.
    fn percentiles(mut self, name: &str) -> String {
        if self.micros.is_empty() {
            return String::new();
        }
        self.micros.sort_unstable();
        let at = |share: f64| self.micros[((self.micros.len() - 1) as f64 * share) as usize];
        format!(
            " {name}p50_us={} {name}p90_us={} {name}p99_us={} {name}max_us={}",
            at(0.5),
            at(0.9),
            at(0.99),
            at(1.0)
        )
    }
}

/// A line of `name=value` pairs under a title.
#[derive(Debug)]
pub(crate) struct Report(String);

impl Report {
    pub(crate) fn new(title: &str) -> Self {
        Self(title.to_owned())
    }

    /// Adds a whole number.
    pub(crate) fn count(mut self, name: &str, value: u64) -> Self {
        // Writing to a string cannot fail.
        let _ = write!(self.0, " {name}={value}");
        self
    }

    /// Adds a fraction.
    pub(crate) fn number(mut self, name: &str, value: f64) -> Self {
        let _ = write!(self.0, " {name}={value:.3}");
        self
    }

    /// Adds how many there were of something, and how many a second.
    pub(crate) fn rate(self, name: &str, count: u64, elapsed: Duration) -> Self {
        let seconds = elapsed.as_secs_f64();
        self.count(name, count)
            .number("seconds", seconds)
            .number("per_second", count as f64 / seconds)
    }

    /// Adds the CPU time that the registry used for each of `count`, if it is known.
    pub(crate) fn cpu_each(self, name: &str, used: Option<Duration>, count: u64) -> Self {
        match used {
            Some(used) => self.number(name, used.as_secs_f64() * 1e6 / count.max(1) as f64),
            None => self,
        }
    }

    /// Adds percentiles.
    pub(crate) fn latencies(mut self, name: &str, latencies: Latencies) -> Self {
        self.0.push_str(&latencies.percentiles(name));
        self
    }

    pub(crate) fn print(self) {
        println!("{}", self.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_of_the_sorted_values() {
        let mut latencies = Latencies::default();
        for micros in (0..=100).rev() {
            latencies.push(Duration::from_micros(micros));
        }
        assert_eq!(
            latencies.percentiles("x_"),
            " x_p50_us=50 x_p90_us=90 x_p99_us=99 x_max_us=100"
        );
    }

    #[test]
    fn a_report_is_one_line() {
        let report = Report::new("beat").rate("requests", 500, Duration::from_secs(2));
        assert_eq!(report.0, "beat requests=500 seconds=2.000 per_second=250.000");
    }
}
