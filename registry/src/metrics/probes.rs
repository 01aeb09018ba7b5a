//! Who is asked how it is, and what consumers say about whom they cannot reach.

use beatrix_engine::Registry;
use beatrix_engine::registry::ReportUse;

use super::page::Page;

/// Percentiles of lateness that are told, in thousandths, as their label has them.
const PERCENTILES: [(u64, &str); 3] = [(500, "50"), (990, "99"), (999, "99.9")];

pub(super) fn write(page: &mut Page, registry: &Registry) {
    let counts = registry.probe_counts();
    page.gauge(
        "beatrix_probes_enabled",
        "1 if anybody is probed",
        u8::from(registry.probes()),
    );
    page.gauge(
        "beatrix_probes_instances",
        "Instances that are probed",
        counts.instances,
    );
    page.gauge("beatrix_probes_in_flight", "Probes in flight", counts.in_flight);
    page.counter("beatrix_probes_passed_total", "Good results", counts.passed);
    page.counter("beatrix_probes_failed_total", "Bad results", counts.failed);
    page.family(
        "beatrix_probes_outcomes_total",
        "counter",
        "Results by their outcome, as far as there were any",
    );
    for (outcome, count) in &counts.results {
        let label = format!("outcome=\"{outcome}\"");
        page.sample("beatrix_probes_outcomes_total", &label, count);
    }
    page.counter(
        "beatrix_probes_dropped_total",
        "Results that counted for nothing",
        counts.dropped,
    );
    page.counter(
        "beatrix_probes_missed_total",
        "Turns that were missed because probes were behind",
        counts.missed,
    );
    page.family(
        "beatrix_probes_lateness_seconds",
        "gauge",
        "How late probes began, by percentile; at most twice too large",
    );
    for (thousandths, percentile) in PERCENTILES {
        let label = format!("percentile=\"{percentile}\"");
        let late = counts.lateness.percentile(thousandths).as_secs_f64();
        page.sample("beatrix_probes_lateness_seconds", &label, late);
    }
    page.gauge(
        "beatrix_probes_lateness_max_seconds",
        "How late the latest began",
        counts.lateness.max().as_secs_f64(),
    );
}

pub(super) fn write_reports(page: &mut Page, kept: &ReportUse) {
    page.gauge(
        "beatrix_reports_instances",
        "Instances that consumers cannot reach, by what they say",
        kept.instances,
    );
    page.gauge(
        "beatrix_reports",
        "Consumers that say so, once for each instance",
        kept.reports,
    );
    page.gauge(
        "beatrix_reports_paces",
        "Consumers that the pace is kept of, or about",
        kept.paced,
    );
    page.counter(
        "beatrix_reports_forgotten_total",
        "Reports that were forgotten for want of room",
        kept.forgotten,
    );
}
