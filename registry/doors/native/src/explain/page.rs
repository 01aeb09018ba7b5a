//! An explanation as a page to read in a terminal.

use std::fmt::{Display, Write};

use beatrix_wire::{Coded, Explanation, GuardExplained};

pub(super) fn page(subject: &str, told: &Explanation) -> String {
    let mut page = Page(String::with_capacity(1024));
    page.line("instance", subject);
    page.line("state", &told.summary);
    page.line("rule", format_args!("{}: {}", told.rule.code, told.rule.text));
    page.line(
        "since",
        format_args!("{} ms ago ({} ms since 1970)", told.since_ms_ago, told.since_ms),
    );
    if !told.marks.is_empty() {
        page.line("marks", told.marks.join(", "));
    }
    page.coded("because", &told.because);
    if let Some(beats) = &told.beats {
        page.line(
            "beats",
            format_args!(
                "last {} ms ago; every {} ms; unhealthy after {} ms, removed after {} ms",
                beats.last_ms_ago, beats.interval_ms, beats.unhealthy_after_ms, beats.remove_after_ms
            ),
        );
        if let Some(gap) = beats.last_gap_ms {
            page.line("gap", format_args!("{gap} ms before the last beat"));
        }
        for late in &beats.late {
            page.line(
                "late",
                format_args!(
                    "{} ms ago, after {} ms; late is from {} ms on",
                    late.ms_ago, late.gap_ms, beats.late_from_ms
                ),
            );
        }
        if let Some(spared) = &beats.spared_by {
            page.line(
                "spared",
                format_args!("its silence has no consequences: so says the {spared}"),
            );
        }
    }
    if let Some(probes) = &told.probes {
        page.line(
            "probes",
            format_args!(
                "{} in a row against its health; {} good make it healthy, {} bad unhealthy",
                probes.against, probes.rise, probes.fall
            ),
        );
    }
    if let Some(reports) = &told.reports {
        page.line(
            "reports",
            format_args!(
                "{} consumers, {} count, {} needed; {} failures, first {} ms ago, newest {} ms ago",
                reports.consumers,
                reports.counted,
                reports.needed,
                reports.failures,
                reports.since_ms_ago,
                reports.newest_ms_ago
            ),
        );
        for error in &reports.last_errors {
            page.line("", error);
        }
        if let Some(looked) = &reports.looked {
            let found = if looked.good { "answered" } else { "failed" };
            page.line(
                "looked",
                format_args!(
                    "{} ms ago the registry tried itself: {found}, {}",
                    looked.ms_ago, looked.text
                ),
            );
        }
    }
    if let Some(flap) = &told.flap {
        page.line(
            "flaps",
            format_args!(
                "score {:.2}{}; has to be well for {} ms",
                flap.score,
                if flap.flapping { ", flapping" } else { "" },
                flap.hold_ms
            ),
        );
    }
    if let Some(guards) = &told.guards {
        for (name, guard) in [
            ("its service", &guards.service),
            ("the registry", &guards.registry),
        ] {
            page.guard(name, guard);
        }
    }
    for next in &told.next {
        page.line("next", format_args!("in {} ms: {}", next.in_ms, next.text));
    }
    page.coded("would change it", &told.ways);
    for change in &told.changes {
        page.line(
            "change",
            format_args!(
                "revision {}: {:?} ({}) at {} ms since 1970",
                change.revision, change.kind, change.reason, change.at_ms
            ),
        );
    }
    page.0
}

struct Page(String);

impl Page {
    fn line(&mut self, name: &str, text: impl Display) {
        // Writing into memory cannot fail.
        let _written = writeln!(self.0, "{name:<16} {text}");
    }

    fn coded(&mut self, name: &str, all: &[Coded]) {
        for coded in all {
            self.line(name, format_args!("{} [{}]", coded.text, coded.code));
        }
    }

    fn guard(&mut self, name: &str, guard: &GuardExplained) {
        let holds = match (guard.holding, guard.forced) {
            (false, _) => "open",
            (true, false) => "holds",
            (true, true) => "holds, forced by an operator",
        };
        self.line(
            "guard",
            format_args!(
                "of {name}: {holds}; {} of {} silent, {} suspect",
                guard.silent, guard.population, guard.suspects
            ),
        );
    }
}
