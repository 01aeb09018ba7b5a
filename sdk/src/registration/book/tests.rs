use super::*;
use crate::name::Defaults;
use crate::registration::ServiceInstance;

const SECOND: Duration = Duration::from_secs(1);

/// A book, a time that stands still until it is moved, and instances registered at 10.0.0.x.
struct Story {
    book: Book,
    now: Instant,
}

fn prepared(last: u8) -> Prepared {
    ServiceInstance::new("orders", format!("10.0.0.{last}"), 80)
        .prepare(&Defaults::default())
        .unwrap()
}

fn response(lease: &str, interval: Duration) -> RegisterResponse {
    RegisterResponse {
        lease: Some(lease.into()),
        beat_interval_ms: Some(interval.as_millis() as u64),
        cluster_id: "c".into(),
        epoch: "e".into(),
        revision: 1,
        changed: true,
    }
}

impl Story {
    fn new() -> Self {
        Self {
            book: Book::default(),
            now: Instant::now(),
        }
    }

    fn registered(&mut self, last: u8, lease: &str, interval: Duration) -> EntryId {
        let (id, _) = self.book.open(prepared(last), self.now);
        self.book.sending(id);
        self.book
            .registered(id, &response(lease, interval), self.now, 1.0);
        id
    }

    /// The leases in the batches that are due `at` after the start, each batch in order.
    fn due(&self, at: Duration) -> Vec<Vec<String>> {
        let batches = self.book.take_due(self.now + at);
        batches
            .iter()
            .map(|batch| batch.members().map(|member| member.lease.clone()).collect())
            .collect()
    }

    fn batch(&self, at: Duration) -> Batch {
        self.book.take_due(self.now + at).pop().expect("something is due")
    }
}

fn unknown(leases: &[&str]) -> BeatResponse {
    BeatResponse {
        renewed: 0,
        unknown: leases.iter().map(|&lease| lease.to_owned()).collect(),
    }
}

#[test]
fn all_that_is_due_and_nearly_due_goes_into_one_batch() {
    let mut story = Story::new();
    story.registered(1, "five", 5 * SECOND);
    story.registered(2, "five-and-a-half", 5500 * SECOND / 1000);
    story.registered(3, "nine", 9 * SECOND);
    assert_eq!(story.book.next_due(true), Some(story.now + 5 * SECOND));
    assert_eq!(story.due(4999 * SECOND / 1000), Vec::<Vec<String>>::new());
    assert_eq!(story.due(5 * SECOND), [["five", "five-and-a-half"]]);

    // From then on the two are due together.
    let batch = story.batch(5 * SECOND);
    story
        .book
        .renewed(&batch, &BeatResponse::default(), story.now + 5 * SECOND, 1.0);
    assert_eq!(story.due(9 * SECOND), [["five", "nine"]]);
}

#[test]
fn a_lease_is_beaten_under_its_own_cluster() {
    let mut story = Story::new();
    story.registered(1, "a", SECOND);
    let other = story.registered(2, "b", SECOND);
    let foreign = RegisterResponse {
        cluster_id: "d".into(),
        ..response("b", SECOND)
    };
    story.book.registered(other, &foreign, story.now, 1.0);
    let mut clusters: Vec<_> = story
        .book
        .take_due(story.now + SECOND)
        .iter()
        .map(Batch::request)
        .collect();
    clusters.sort_by(|a, b| a.cluster_id.cmp(&b.cluster_id));
    assert_eq!(clusters.len(), 2);
    assert_eq!(
        (clusters[0].cluster_id.as_str(), clusters[0].leases.as_slice()),
        ("c", &["a".to_owned()][..])
    );
    assert_eq!(
        (clusters[1].cluster_id.as_str(), clusters[1].leases.as_slice()),
        ("d", &["b".to_owned()][..])
    );
}

#[test]
fn a_lost_lease_is_registered_again_once_and_beaten_for_under_its_new_lease() {
    let mut story = Story::new();
    let id = story.registered(1, "old", SECOND);
    let batch = story.batch(SECOND);
    story
        .book
        .renewed(&batch, &unknown(&["old"]), story.now + SECOND, 1.0);
    assert_eq!(
        story.due(60 * SECOND),
        Vec::<Vec<String>>::new(),
        "what is lost is not beaten for"
    );

    let now = story.now + SECOND;
    assert_eq!(story.book.next_due(true), Some(now));
    assert_eq!(story.book.take_lost(now, 16), [id]);
    assert_eq!(story.book.take_lost(now, 16), [], "it is taken already");
    story.book.registered(id, &response("new", SECOND), now, 1.0);
    assert_eq!(story.due(2 * SECOND), [["new"]]);

    // A late answer about the old lease changes nothing.
    story.book.renewed(&batch, &unknown(&["old"]), now, 1.0);
    assert_eq!(story.due(2 * SECOND), [["new"]]);
}

#[test]
fn recoveries_are_limited_and_wait_longer_each_time() {
    let mut story = Story::new();
    let ids: Vec<_> = (1..=3)
        .map(|last| story.registered(last, &format!("lease-{last}"), SECOND))
        .collect();
    let batch = story.batch(SECOND);
    story.book.wrong_cluster(&batch, story.now);
    assert_eq!(story.book.take_lost(story.now, 2), ids[..2]);
    assert_eq!(story.book.take_lost(story.now, 2), ids[2..]);
    story.book.recovery_failed(ids[0], story.now + SECOND);
    assert_eq!(story.book.attempts(ids[0]), 1);
    assert_eq!(story.book.take_lost(story.now, 2), []);
    assert_eq!(story.book.take_lost(story.now + SECOND, 2), ids[..1]);
}

#[test]
fn what_is_closed_is_neither_beaten_for_nor_registered_again() {
    let mut story = Story::new();
    let id = story.registered(1, "lease", SECOND);
    let batch = story.batch(SECOND);
    story.book.close(id);
    // The beat was under way, and finds the lease gone.
    story
        .book
        .renewed(&batch, &unknown(&["lease"]), story.now + SECOND, 1.0);
    assert_eq!(story.book.take_lost(story.now + 60 * SECOND, 16), []);
    assert_eq!(story.book.next_due(true), None);
    assert!(!story.book.is_open(id));
}

#[test]
fn a_farewell_names_the_lease_of_the_registration_that_was_under_way() {
    let mut story = Story::new();
    let id = story.registered(1, "old", SECOND);
    let batch = story.batch(SECOND);
    story.book.renewed(&batch, &unknown(&["old"]), story.now, 1.0);
    story.book.take_lost(story.now, 1);
    story.book.sending(id);
    story.book.close(id);
    // The outcome is not known: the lease may be any.
    assert_eq!(story.book.farewell(id), Farewell::Any);
    story
        .book
        .registered(id, &response("new", SECOND), story.now, 1.0);
    assert_eq!(story.book.farewell(id), Farewell::Lease("new".into()));
    assert_eq!(story.book.next_due(true), None, "it stays closed");
}

#[test]
fn an_attempt_that_certainly_failed_leaves_no_new_doubt_and_takes_no_old_one() {
    let mut story = Story::new();
    let (id, _) = story.book.open(prepared(1), story.now);
    let before = story.book.sending(id);
    story.book.not_registered(id, before);
    assert!(!story.book.may_be_registered(id));
    // The second attempt times out, the third finds no connection.
    story.book.sending(id);
    let before = story.book.sending(id);
    story.book.not_registered(id, before);
    assert!(story.book.may_be_registered(id));
}

#[test]
fn registering_an_instance_again_closes_the_older_registration() {
    let mut story = Story::new();
    let older = story.registered(1, "lease", SECOND);
    let newer = story.registered(1, "lease", SECOND);
    assert!(!story.book.is_open(older));
    assert_eq!(story.book.farewell(older), Farewell::Superseded);
    assert_eq!(story.due(SECOND), [["lease"]]);
    assert!(Arc::ptr_eq(
        &story.book.work(older).unwrap().gate,
        &story.book.work(newer).unwrap().gate
    ));
    // The older one leaves without taking the newer one along.
    story.book.remove(older);
    story.book.close(newer);
    assert_eq!(story.book.farewell(newer), Farewell::Lease("lease".into()));
}

#[test]
fn a_status_is_due_at_once_rides_with_a_beat_and_is_said_until_delivered() {
    let mut story = Story::new();
    let id = story.registered(1, "a", 5 * SECOND);
    story
        .book
        .set_status(id, DeclaredStatus::Draining, Some("bye".into()), story.now);
    assert!(!story.book.entries[&id].seen.borrow().has_nothing_to_deliver());
    let batch = story.batch(Duration::ZERO);
    assert!(batch.has_statuses());
    let request = batch.request();
    assert_eq!(
        (request.leases.len(), request.statuses.len()),
        (0, 1),
        "a status renews the lease too"
    );
    assert_eq!(request.statuses[0].reason.as_deref(), Some("bye"));

    story.book.beat_failed(&batch, story.now + SECOND);
    assert_eq!(story.due(Duration::ZERO), Vec::<Vec<String>>::new());
    let batch = story.batch(SECOND);
    assert!(batch.has_statuses());
    story
        .book
        .renewed(&batch, &BeatResponse::default(), story.now + SECOND, 1.0);
    assert!(story.book.entries[&id].seen.borrow().has_nothing_to_deliver());
    assert!(!story.batch(6 * SECOND).has_statuses());
}

#[test]
fn a_status_set_while_a_beat_is_under_way_is_sent_right_after_it() {
    let mut story = Story::new();
    let id = story.registered(1, "a", 5 * SECOND);
    let batch = story.batch(5 * SECOND);
    let now = story.now + 5 * SECOND;
    story.book.set_status(id, DeclaredStatus::Unhealthy, None, now);
    story.book.renewed(&batch, &BeatResponse::default(), now, 1.0);
    assert!(story.batch(5 * SECOND).has_statuses());
}

#[test]
fn a_status_is_said_again_after_a_new_registration_unless_it_is_up() {
    for (status, again) in [(DeclaredStatus::Draining, true), (DeclaredStatus::Up, false)] {
        let mut story = Story::new();
        let id = story.registered(1, "a", SECOND);
        story.book.set_status(id, status, None, story.now);
        let batch = story.batch(Duration::ZERO);
        story
            .book
            .renewed(&batch, &BeatResponse::default(), story.now, 1.0);
        story.book.wrong_cluster(&batch, story.now);
        story.book.take_lost(story.now, 1);
        story.book.registered(id, &response("b", SECOND), story.now, 1.0);
        assert_eq!(!story.due(Duration::ZERO).is_empty(), again, "{status:?}");
        assert_eq!(story.batch(SECOND).has_statuses(), again, "{status:?}");
    }
}

#[test]
fn a_refused_status_is_given_up_but_not_one_set_since() {
    let mut story = Story::new();
    let id = story.registered(1, "a", SECOND);
    story
        .book
        .set_status(id, DeclaredStatus::Draining, None, story.now);
    let batch = story.batch(Duration::ZERO);
    story.book.drop_statuses(&batch);
    assert!(!story.batch(Duration::ZERO).has_statuses());
    story
        .book
        .set_status(id, DeclaredStatus::Draining, None, story.now);
    let batch = story.batch(Duration::ZERO);
    story.book.set_status(id, DeclaredStatus::Up, None, story.now);
    story.book.drop_statuses(&batch);
    assert!(story.batch(Duration::ZERO).has_statuses());
}

#[test]
fn an_instance_without_a_lease_is_not_beaten_for() {
    let mut story = Story::new();
    let (id, _) = story.book.open(prepared(1), story.now);
    let still = RegisterResponse {
        lease: None,
        beat_interval_ms: None,
        ..response("", SECOND)
    };
    story.book.registered(id, &still, story.now, 1.0);
    assert_eq!(story.book.next_due(true), None);
    story.book.close(id);
    assert!(story.book.may_be_registered(id));
    assert_eq!(story.book.farewell(id), Farewell::Any);
}

#[test]
fn a_batch_is_cut_where_the_registry_stops_taking() {
    let sizes = |members: u64, statuses: u64| -> Vec<usize> {
        let mut batch = Batch::new("c");
        for number in 0..members {
            let report = StatusReport {
                lease: String::new(),
                status: DeclaredStatus::Up,
                reason: None,
            };
            let status = Some(report).filter(|_| number < statuses);
            batch.push(
                SECOND,
                Member {
                    entry: EntryId(number),
                    lease: String::new(),
                    status,
                    status_number: 0,
                },
            );
        }
        batch.split().map(|part| part.members().count()).collect()
    };
    assert_eq!(sizes(120_000, 0), [50_000, 50_000, 20_000]);
    assert_eq!(sizes(600, 600), [250, 250, 100]);
    assert_eq!(sizes(15_000, 1), [10_000, 5_000]);
}
