//! The rule by which consumers are believed, from its table of rows.

use std::net::{IpAddr, Ipv4Addr};

use super::*;

const SERVICE: u32 = 1;

fn at_s(s: u64) -> Mono {
    Mono(s * 1_000_000)
}

fn consumer(id: &str, host: u8) -> Consumer {
    Consumer {
        id: id.into(),
        address: IpAddr::V4(Ipv4Addr::new(10, 0, 0, host)),
    }
}

/// A consumer on a host of its own.
fn alone(host: u8) -> Consumer {
    consumer("c", host)
}

/// The book with what a catalog would keep beside it: who carries the mark.
#[derive(Default)]
struct World {
    reports: Reports,
    config: ReportConfig,
    marked: BTreeSet<u32>,
    instances: usize,
    consumers: usize,
}

use std::collections::BTreeSet;

impl World {
    fn of(instances: usize, consumers: usize) -> Self {
        Self {
            instances,
            consumers,
            ..Self::default()
        }
    }

    fn say(&mut self, slot: u32, by: &Consumer, now: Mono) {
        let report = Report {
            failures: 2,
            within: Duration::ZERO,
            error: "connect: refused",
            instances: self.instances,
            consumers: self.consumers,
        };
        self.reports.note(slot, SERVICE, by, report, now, &self.config);
        self.turn(now);
    }

    /// Decides what is due and applies it, as a catalog does.
    fn turn(&mut self, now: Mono) {
        let mut changed = Vec::new();
        self.reports
            .due(now, Duration::from_secs(1), &self.config, |slot, marked| {
                changed.push((slot, marked));
            });
        for (slot, marked) in changed {
            if marked {
                assert!(self.marked.insert(slot), "marked once");
            } else {
                assert!(self.marked.remove(&slot), "unmarked once");
            }
            self.reports.mark(slot, SERVICE, marked, now, &self.config);
        }
    }

    /// Turns from deadline to deadline.
    fn run_to(&mut self, end: Mono) {
        while let Some(next) = self.reports.next().filter(|next| *next <= end) {
            self.turn(next);
        }
    }
}

#[test]
fn enough_different_consumers_mark_an_instance_at_once() {
    // Reporters as (id, host), how many are known to use the service, and whether they are believed.
    type Row<'a> = (&'a [(&'a str, u8)], usize, bool);
    let rows: [Row<'_>; 8] = [
        (&[("a", 1), ("b", 2), ("c", 3)], 0, true),
        (&[("a", 1), ("b", 2)], 0, false),
        // The same consumer again and again.
        (&[("a", 1), ("a", 1), ("a", 1), ("b", 2)], 0, false),
        // Many ids of one host count as two.
        (&[("a", 1), ("b", 1), ("c", 1), ("d", 1), ("e", 1)], 0, false),
        (&[("a", 1), ("b", 1), ("c", 1), ("d", 2)], 0, true),
        // The same id on different hosts: different processes.
        (&[("a", 1), ("a", 2), ("a", 3)], 0, true),
        // Of 16 consumers a fifth is four.
        (&[("a", 1), ("b", 2), ("c", 3)], 16, false),
        (&[("a", 1), ("b", 2), ("c", 3), ("d", 4)], 16, true),
    ];
    for (reporters, known, believed) in rows {
        let mut world = World::of(10, known);
        for (id, host) in reporters {
            world.say(7, &consumer(id, *host), at_s(1));
        }
        assert_eq!(world.marked.contains(&7), believed, "{reporters:?} of {known}");
    }
}

#[test]
fn a_mark_ends_when_the_window_is_empty_and_not_before() {
    let mut world = World::of(10, 3);
    for (host, second) in [(1, 0), (2, 10), (3, 20)] {
        world.say(7, &alone(host), at_s(second));
    }
    assert!(world.marked.contains(&7));
    world.run_to(Mono(at_s(50).0 - 1));
    assert!(world.marked.contains(&7), "the newest report still counts");
    assert_eq!(
        world.reports.read(7, at_s(49), &world.config).unwrap().reporters,
        1
    );
    world.run_to(at_s(50));
    assert!(world.marked.is_empty());
    world.run_to(at_s(60));
    assert!(
        (world.reports.is_empty(), world.reports.len()) == (true, 0),
        "nothing is left"
    );
    assert_eq!(world.reports.next(), None, "nor any time to wake at");
}

#[test]
fn reports_outside_of_one_window_do_not_add_up() {
    let mut world = World::of(10, 3);
    for (host, second) in [(1, 0), (2, 16), (3, 31)] {
        world.say(7, &alone(host), at_s(second));
        world.run_to(at_s(second));
    }
    assert!(world.marked.is_empty());
    world.say(7, &alone(1), at_s(32));
    assert!(world.marked.contains(&7), "three within 16 s");
}

#[test]
fn who_cannot_reach_most_of_a_service_is_itself_at_fault() {
    // Three in one broken rack report everything of a service of ten.
    let mut world = World::of(10, 3);
    for slot in 0..10 {
        for host in 1..=3 {
            world.say(slot, &alone(host), at_s(1));
        }
    }
    assert!(
        world.marked.is_empty(),
        "what they had marked is taken back: {:?}",
        world.marked
    );
    // Three others agree on one.
    for host in 4..=6 {
        world.say(3, &alone(host), at_s(2));
    }
    assert_eq!(world.marked.iter().collect::<Vec<_>>(), [&3]);
    let reading = world.reports.read(3, at_s(2), &world.config).unwrap();
    assert_eq!((reading.reporters, reading.counted), (6, 3));
    // The fault of the rack is over, and its reports with it.
    world.run_to(at_s(31));
    world.say(5, &alone(1), at_s(33));
    assert_eq!(world.reports.read(5, at_s(33), &world.config).unwrap().counted, 1);
}

#[test]
fn of_a_service_of_three_all_may_be_down() {
    let mut world = World::of(3, 3);
    for slot in 0..3 {
        for host in 1..=3 {
            world.say(slot, &alone(host), at_s(1));
        }
    }
    assert_eq!(world.marked.len(), 3);
}

#[test]
fn memory_is_bounded_and_the_oldest_is_forgotten_first() {
    let mut world = World::of(100_000, 3);
    world.config.instances_max = 50;
    world.config.reports_max = 120;
    for slot in 0..40 {
        for host in 1..=3 {
            world.say(slot, &alone(host), Mono(u64::from(slot) * 1_000));
        }
    }
    // Those who were marked and had to give way are no longer marked; the newest are.
    world.run_to(at_s(2));
    assert!(world.reports.len() <= 120);
    for slot in 40..200 {
        world.say(slot, &alone(1), at_s(3));
    }
    world.run_to(at_s(5));
    assert!(world.reports.instances() <= 51, "{}", world.reports.instances());
    assert!(world.reports.forgotten() > 0);
    assert!(world.reports.read(199, at_s(5), &world.config).is_some());
    assert!(world.reports.read(0, at_s(5), &world.config).is_none());
    assert!(
        !world.marked.contains(&0),
        "what is forgotten does not stay marked for ever"
    );
    world.run_to(at_s(60));
    assert!(world.reports.is_empty() && world.marked.is_empty());
}

#[test]
fn a_mark_from_before_a_restart_ends_with_a_window() {
    let mut world = World::of(10, 3);
    world.marked.insert(7);
    world.reports.mark(7, SERVICE, true, at_s(5), &world.config);
    world.run_to(at_s(34));
    assert!(world.marked.contains(&7));
    world.run_to(at_s(35));
    assert!(world.marked.is_empty());
}

#[test]
fn what_could_not_be_committed_is_decided_again() {
    let mut world = World::of(10, 3);
    for host in 1..=3 {
        let report = Report {
            failures: 1,
            within: Duration::ZERO,
            error: "timeout",
            instances: 10,
            consumers: 3,
        };
        world
            .reports
            .note(7, SERVICE, &alone(host), report, at_s(1), &world.config);
    }
    let mut told = Vec::new();
    for now in [at_s(1), at_s(1), at_s(2), at_s(3)] {
        world
            .reports
            .due(now, Duration::from_secs(1), &world.config, |slot, marked| {
                told.push((now, slot, marked));
            });
    }
    assert_eq!(told, [(at_s(1), 7, true), (at_s(2), 7, true), (at_s(3), 7, true)]);
}

#[test]
fn the_last_errors_are_kept_newest_first_and_each_once() {
    let mut world = World::of(10, 3);
    for error in ["a", "b", "b", "c", "d", "e"] {
        let report = Report {
            failures: 1,
            within: Duration::ZERO,
            error,
            instances: 10,
            consumers: 3,
        };
        world
            .reports
            .note(7, SERVICE, &alone(1), report, at_s(1), &world.config);
    }
    let reading = world.reports.read(7, at_s(1), &world.config).unwrap();
    let errors: Vec<&str> = reading.errors.iter().map(|error| &**error).collect();
    assert_eq!(errors, ["e", "d", "c", "b"]);
    assert_eq!(reading.failures, 6);
}

/// One who reports others all the time must not take the marks of those off whom he does not mean.
#[test]
fn beyond_the_bound_those_without_a_mark_give_way_first() {
    let mut world = World::of(100, 3);
    world.config.instances_max = 10;
    for host in 1..=3 {
        world.say(1, &alone(host), at_s(1));
    }
    assert!(world.marked.contains(&1));
    for slot in 2..=60 {
        world.say(slot, &alone(200), at_s(2));
    }
    assert!(world.marked.contains(&1) && world.reports.is_marked(1));
    assert_eq!(world.reports.instances(), 10);
    let kept = world.reports.read(1, at_s(2), &world.config).unwrap();
    assert_eq!(kept.reporters, 3);
}

#[test]
fn who_says_again_what_is_kept_takes_the_room_of_nobody() {
    let mut world = World::of(100, 3);
    world.config.reports_max = 3;
    for slot in 1..=3 {
        world.say(slot, &alone(1), at_s(1));
    }
    for _ in 0..5 {
        world.say(2, &alone(1), at_s(2));
    }
    assert_eq!((world.reports.len(), world.reports.forgotten()), (3, 0));
    world.say(4, &alone(1), at_s(3));
    assert_eq!((world.reports.len(), world.reports.forgotten()), (3, 1));
}

#[test]
fn the_consumers_of_one_address_are_heard_about_so_many_instances() {
    let mut world = World::of(100_000, 3);
    let max = u32::try_from(INSTANCES_PER_ADDRESS_MAX).unwrap();
    for slot in 0..2 * max {
        world.say(slot, &consumer(&format!("c{slot}"), 1), at_s(1));
    }
    assert_eq!(world.reports.len(), INSTANCES_PER_ADDRESS_MAX);
    // Others are heard, and he is about those that he reported.
    world.say(max + 1, &alone(2), at_s(1));
    world.say(0, &consumer("another", 1), at_s(1));
    assert_eq!(world.reports.len(), INSTANCES_PER_ADDRESS_MAX + 2);
    // Once they are forgotten there is room again.
    world.turn(at_s(60));
    assert_eq!(world.reports.len(), 0);
    world.say(2 * max, &alone(1), at_s(60));
    assert_eq!(world.reports.len(), 1);
}
