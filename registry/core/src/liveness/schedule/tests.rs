use super::*;
use crate::liveness::Finding;
use crate::model::{ProbeKind, ProbePlan};

const NO_STALL: Duration = Duration::ZERO;

fn at_ms(ms: u64) -> Mono {
    Mono(ms * 1_000)
}

fn each(interval: Duration) -> Arc<ProbeSpec> {
    let plan = ProbePlan {
        interval: Some(interval),
        ..ProbePlan::default()
    };
    Arc::new(ProbeSpec::new(ProbeKind::Tcp, plan).unwrap())
}

/// Each 5 s, and its answer is waited for as long.
fn hanging() -> Arc<ProbeSpec> {
    let plan = ProbePlan {
        interval: Some(seconds(5)),
        timeout: Some(seconds(5)),
        ..ProbePlan::default()
    };
    Arc::new(ProbeSpec::new(ProbeKind::Tcp, plan).unwrap())
}

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn result(finding: Finding) -> ProbeResult {
    ProbeResult {
        finding,
        word: "test",
        text: "as the test says".into(),
        took: Duration::ZERO,
    }
}

fn schedule(in_flight_max: usize, per_address: usize) -> Schedule {
    Schedule::new(ProbeConfig {
        in_flight_max,
        in_flight_per_address_max: per_address,
        ..ProbeConfig::default()
    })
}

fn end(schedule: &mut Schedule, ticket: Ticket, now: Mono) -> Ended {
    let good = result(Finding::Good);
    schedule.end(ticket, Some(&good), now, Wall(0), NO_STALL)
}

fn take(schedule: &mut Schedule, now: Mono) -> Vec<Ticket> {
    std::iter::from_fn(|| schedule.take(now, Mono(0), NO_STALL))
        .map(|(ticket, _)| ticket)
        .collect()
}

/// When each was probed, with answers that come at once.
fn run(schedule: &mut Schedule, until: Mono) -> Vec<(Mono, u32)> {
    let mut probed = Vec::new();
    while let Some(next) = schedule.next().filter(|next| *next < until) {
        for ticket in take(schedule, next) {
            probed.push((next, ticket.slot));
            end(schedule, ticket, next);
        }
    }
    probed
}

#[test]
fn a_mass_registration_is_no_burst_and_each_is_probed_once_an_interval_give_or_take_a_tenth() {
    let mut schedule = schedule(1_024, 1_024);
    for slot in 0..1_000 {
        schedule.enter(slot, each(seconds(5)), 0, at_ms(0));
    }
    let probed = run(&mut schedule, at_ms(60_000));
    let within = |from: u64, to: u64| {
        let (from, to) = (at_ms(from), at_ms(to));
        probed.iter().filter(|(at, _)| (from..to).contains(at)).count()
    };
    assert_eq!(within(0, 1_000), 1_000, "all are first probed within a second");
    for tenth in 0..10 {
        let first = within(tenth * 100, tenth * 100 + 100);
        assert!(
            (60..150).contains(&first),
            "{first} in a tenth of the first second"
        );
    }
    for second in 20..60 {
        let there = within(second * 1_000, second * 1_000 + 1_000);
        assert!((140..260).contains(&there), "{there} in second {second}");
    }
    for slot in 0..1_000 {
        let of_slot: Vec<Mono> = probed
            .iter()
            .filter(|(_, it)| *it == slot)
            .map(|(at, _)| *at)
            .collect();
        for pair in of_slot[1..].windows(2) {
            let gap = pair[1].since(pair[0]);
            assert!(
                gap >= Duration::from_millis(4_500) && gap <= Duration::from_millis(5_500),
                "{gap:?}"
            );
        }
    }
    assert_eq!(schedule.counts().lateness.max(), Duration::ZERO);
}

#[test]
fn with_the_same_seed_all_of_it_happens_again_and_with_another_it_does_not() {
    let moments = |seed| {
        let mut schedule = Schedule::new(ProbeConfig {
            seed,
            ..ProbeConfig::default()
        });
        (0..20).for_each(|slot| schedule.enter(slot, each(seconds(1)), 0, at_ms(0)));
        run(&mut schedule, at_ms(10_000))
    };
    assert_eq!(moments(1), moments(1));
    assert_ne!(moments(1), moments(2));
}

#[test]
fn no_more_are_in_flight_than_may_be_and_who_is_due_longest_is_next() {
    let mut schedule = schedule(3, 3);
    for slot in 0..10 {
        schedule.enter(slot, each(seconds(5)), u64::from(slot), at_ms(0));
    }
    let order: Vec<u32> = schedule.queue.iter().map(|(_, slot)| *slot).collect();
    let first = take(&mut schedule, at_ms(2_000));
    assert_eq!(first.len(), 3);
    assert_eq!((schedule.next(), schedule.counts().in_flight), (None, 3));
    let mut seen: Vec<u32> = first.iter().map(|ticket| ticket.slot).collect();
    for ticket in first {
        end(&mut schedule, ticket, at_ms(2_000));
        seen.extend(take(&mut schedule, at_ms(2_000)).iter().map(|ticket| ticket.slot));
    }
    assert_eq!(seen, order[..6]);
}

#[test]
fn an_address_that_hangs_keeps_nobody_else_waiting() {
    let mut schedule = schedule(100, 2);
    for slot in 0..10 {
        schedule.enter(slot, each(seconds(5)), 1, at_ms(0));
    }
    schedule.enter(10, each(seconds(5)), 2, at_ms(0));
    let taken = take(&mut schedule, at_ms(1_000));
    assert_eq!(taken.iter().filter(|ticket| ticket.slot < 10).count(), 2);
    assert!(taken.iter().any(|ticket| ticket.slot == 10));
    // Each that ends lets in the next of the line, those who are due longest first, and nobody is lost.
    let mut open: std::collections::VecDeque<Ticket> =
        taken.into_iter().filter(|ticket| ticket.slot < 10).collect();
    let mut seen = 2;
    while let Some(ticket) = open.pop_front() {
        end(&mut schedule, ticket, at_ms(1_500));
        let next = take(&mut schedule, at_ms(1_500));
        assert!(next.len() <= 1);
        seen += next.len();
        open.extend(next);
    }
    assert_eq!(seen, 10);
    assert!(schedule.addresses.len() <= 1);
}

#[test]
fn a_missed_turn_is_told_and_not_made_up_for() {
    let mut schedule = schedule(10, 10);
    schedule.enter(0, each(seconds(5)), 0, at_ms(0));
    let late = take(&mut schedule, at_ms(60_000));
    assert_eq!(late.len(), 1);
    end(&mut schedule, late[0], at_ms(60_000));
    let counts = schedule.counts();
    assert_eq!(counts.missed, 1);
    assert!(counts.lateness.max() >= seconds(59));
    assert_eq!(take(&mut schedule, at_ms(62_000)).len(), 0);
    assert_eq!(take(&mut schedule, at_ms(68_000)).len(), 1);
}

#[test]
fn a_result_that_began_before_it_was_registered_anew_is_dropped() {
    let mut schedule = schedule(10, 10);
    schedule.enter(0, each(seconds(5)), 0, at_ms(0));
    let old = take(&mut schedule, at_ms(1_000))[0];
    schedule.enter(0, each(seconds(5)), 0, at_ms(1_000));
    assert_eq!(end(&mut schedule, old, at_ms(1_100)), Ended::Dropped);
    let new = take(&mut schedule, at_ms(2_000))[0];
    assert_eq!(end(&mut schedule, new, at_ms(2_100)), Ended::Counts);
    schedule.leave(0);
    assert_eq!(take(&mut schedule, at_ms(99_000)), []);
    assert_eq!((schedule.in_flight, schedule.addresses.len()), (0, 0));
}

#[test]
fn a_probe_that_was_in_flight_across_a_stall_says_nothing_and_is_made_again() {
    let mut schedule = schedule(10, 10);
    schedule.enter(0, each(seconds(5)), 0, at_ms(0));
    let (ticket, _) = schedule.take(at_ms(1_000), Mono(0), NO_STALL).unwrap();
    let timed_out = result(Finding::Silent);
    let ended = schedule.end(ticket, Some(&timed_out), at_ms(1_200), Wall(0), seconds(40));
    assert_eq!(ended, Ended::Dropped);
    assert_eq!(schedule.next(), Some(at_ms(1_200)));
    assert_eq!(schedule.scheduled(0).unwrap().last, None);
}

#[test]
fn who_is_ordered_is_probed_at_once_also_if_a_probe_is_in_flight() {
    let mut schedule = schedule(10, 10);
    assert!(!schedule.order(7, at_ms(0)));
    schedule.enter(7, each(seconds(60)), 0, at_ms(0));
    let first = take(&mut schedule, at_ms(1_000))[0];
    end(&mut schedule, first, at_ms(1_000));
    schedule.came_sooner();
    assert!(schedule.order(7, at_ms(2_000)) && schedule.came_sooner());
    let ordered = take(&mut schedule, at_ms(2_000))[0];
    assert!(schedule.order(7, at_ms(2_001)));
    end(&mut schedule, ordered, at_ms(2_002));
    assert_eq!(take(&mut schedule, at_ms(2_002)).len(), 1);
}

#[test]
fn the_newest_result_is_kept_with_how_many_in_a_row_were_like_it() {
    let mut schedule = schedule(10, 10);
    schedule.enter(0, each(seconds(1)), 0, at_ms(0));
    let findings = [Finding::Good, Finding::Bad, Finding::Silent, Finding::Unasked];
    for finding in findings {
        schedule.order(0, at_ms(1));
        let (ticket, _) = schedule.take(at_ms(1_000), Mono(0), NO_STALL).unwrap();
        schedule.end(ticket, Some(&result(finding)), at_ms(1), Wall(5), NO_STALL);
    }
    let last = schedule.scheduled(0).unwrap().last.unwrap();
    assert_eq!(
        (last.result.finding, last.streak, last.at),
        (Finding::Silent, 2, Wall(5))
    );
    let counts = schedule.counts();
    assert_eq!((counts.passed, counts.failed, counts.dropped), (1, 2, 1));
    assert_eq!(counts.results["test"], 3);
}

#[test]
fn those_who_may_take_long_have_half_of_the_places_at_most_and_all_of_them_their_turn() {
    let mut schedule = schedule(4, 4);
    for slot in 0..10 {
        schedule.enter(slot, hanging(), u64::from(slot), at_ms(0));
    }
    let mut open = take(&mut schedule, at_ms(2_000));
    assert_eq!(open.len(), 2);
    for slot in 10..12 {
        schedule.enter(slot, each(seconds(5)), u64::from(slot), at_ms(2_000));
    }
    let others = take(&mut schedule, at_ms(3_000));
    assert_eq!(others.len(), 2, "they find places");
    others.into_iter().for_each(|ticket| {
        end(&mut schedule, ticket, at_ms(3_000));
    });
    let mut seen = BTreeSet::new();
    while let Some(ticket) = open.pop().filter(|_| seen.len() < 10) {
        seen.insert(ticket.slot);
        end(&mut schedule, ticket, at_ms(3_000));
        open.extend(take(&mut schedule, at_ms(3_000)));
        check_lines(&schedule);
    }
    assert_eq!(seen.len(), 10);
}

/// What must be so of all lines at all times.
fn check_lines(schedule: &Schedule) {
    for (number, line) in &schedule.addresses {
        let of = |place| {
            schedule
                .entries
                .values()
                .filter(|entry| entry.address == *number && entry.place == place)
                .count()
        };
        assert_eq!(line.len(), of(Place::Waiting), "each waits once");
        assert!(
            line.len() == 0 || line.in_flight + of(Place::Queued) > 0,
            "somebody is before those who wait"
        );
        assert!(!line.is_idle());
    }
    let slow = schedule.slow.len();
    let waiting = schedule
        .entries
        .values()
        .filter(|entry| entry.place == Place::Slow);
    assert_eq!(slow, waiting.count());
    let queued = |entry: &Entry| entry.place == Place::Queued && entry.spec.timeout() > SLOW_FROM;
    assert!(slow == 0 || schedule.slow.in_flight > 0 || schedule.entries.values().any(queued));
    assert!(schedule.slow.in_flight <= schedule.slow_max());
}

#[test]
fn a_line_goes_on_if_the_one_who_was_called_up_goes_before_its_turn() {
    let mut schedule = schedule(10, 1);
    for slot in 1..=3 {
        schedule.enter(slot, each(seconds(5)), 7, at_ms(0));
    }
    let first = take(&mut schedule, at_ms(1_000));
    assert_eq!(first.len(), 1);
    schedule.leave(first[0].slot);
    end(&mut schedule, first[0], at_ms(1_100));
    let (_, called_up) = *schedule.queue.first().unwrap();
    schedule.leave(called_up);
    check_lines(&schedule);
    let last = *schedule.entries.keys().next().unwrap();
    let probed = run(&mut schedule, at_ms(60_000));
    assert!(
        probed.len() > 10 && probed.iter().all(|(_, slot)| *slot == last),
        "{probed:?}"
    );
}

#[test]
fn a_line_holds_each_once_however_often_it_is_registered_anew() {
    let mut schedule = schedule(1_000, 1);
    for slot in 1..=3 {
        schedule.enter(slot, each(seconds(5)), 7, at_ms(0));
    }
    let hangs = take(&mut schedule, at_ms(1_000));
    for turn in 1..1_000 {
        let now = 1_000 * turn;
        schedule.enter(3, each(seconds(5)), 7, at_ms(now));
        take(&mut schedule, at_ms(now + 1_000));
        check_lines(&schedule);
    }
    assert!(schedule.addresses[&7].len() <= 3);
    (1..=3).for_each(|slot| assert!(schedule.leave(slot)));
    hangs.into_iter().for_each(|ticket| {
        end(&mut schedule, ticket, at_ms(2_000_000));
    });
    assert!(schedule.addresses.is_empty());
}

proptest::proptest! {
    /// A line that is not empty has somebody before it, whatever comes, goes, begins and ends in whatever order.
    #[test]
    fn of_an_address_with_a_line_somebody_is_always_queued_or_in_flight(
        steps in proptest::collection::vec((0..5_u8, 0..8_u32, 0..2_000_u64), 1..200),
        per_address in 1..3_usize,
    ) {
        let mut schedule = schedule(4, per_address);
        let (mut flying, mut now) = (Vec::new(), 0);
        for (what, slot, ms) in steps {
            match what {
                0 if slot < 4 => schedule.enter(slot, hanging(), u64::from(slot % 2), at_ms(now)),
                0 => schedule.enter(slot, each(seconds(1 + u64::from(slot % 2))), u64::from(slot % 2), at_ms(now)),
                1 => {
                    schedule.leave(slot);
                }
                2 => {
                    schedule.order(slot, at_ms(now));
                }
                3 if !flying.is_empty() => {
                    let ticket = flying.swap_remove(slot as usize % flying.len());
                    end(&mut schedule, ticket, at_ms(now));
                }
                _ => {
                    now += ms;
                    flying.extend(take(&mut schedule, at_ms(now)));
                }
            }
            check_lines(&schedule);
        }
        for ticket in flying {
            end(&mut schedule, ticket, at_ms(now));
        }
        let there: BTreeSet<u32> = schedule.entries.keys().copied().collect();
        let probed = run(&mut schedule, at_ms(now + 10_000));
        proptest::prop_assert_eq!(probed.into_iter().map(|(_, slot)| slot).collect::<BTreeSet<_>>(), there);
    }
}
