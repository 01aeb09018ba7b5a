//! Proposals on their way into groups.

use std::collections::VecDeque;

use parking_lot::MutexGuard;

use super::group::Group;
use super::{Owner, Request};
use crate::journal::Journal;

/// How many proposals are decided before readers get the lock in between.
const DECIDE_MAX: usize = 256;

/// How the deciding of a run of proposals came out.
enum Run {
    /// All that wait are decided.
    Done,
    /// There are more than readers shall wait for.
    Paused,
    /// The next must see applied what was decided before it.
    Blocked,
}

impl<J: Journal> Owner<J> {
    /// Takes all requests: decides them in groups, and finishes each group. What waits for a group goes back into
    /// `requests` if something is due by then: each group takes a commit, and there may be as many as requests.
    pub(super) async fn take(&mut self, requests: &mut Vec<Request>) {
        let mut waiting = VecDeque::from(std::mem::take(requests));
        let mut group = Group::default();
        loop {
            match self.decide_some(&mut waiting, &mut group) {
                Run::Paused => {}
                Run::Blocked => {
                    self.finish(&mut group).await;
                    if self.is_due() {
                        *requests = waiting.into();
                        return;
                    }
                }
                Run::Done => break,
            }
        }
        self.finish(&mut group).await;
        // Kept for its memory.
        *requests = waiting.into();
    }

    fn is_due(&self) -> bool {
        let live = self.live();
        let next = self.catalog.lock().next_deadline();
        next.is_some_and(|deadline| deadline <= live)
    }

    /// Decides a run of requests in one hold of the lock, and answers those that come to nothing.
    fn decide_some(&self, waiting: &mut VecDeque<Request>, group: &mut Group) -> Run {
        let live = self.live();
        let mut told = Vec::new();
        let mut run = Run::Paused;
        let mut catalog = self.catalog.lock();
        for _ in 0..DECIDE_MAX {
            let Some(request) = waiting.pop_front() else {
                run = Run::Done;
                break;
            };
            match group.take(&mut catalog, request, live) {
                Ok(answer) => told.extend(answer),
                Err(request) => {
                    waiting.push_front(request);
                    run = Run::Blocked;
                    break;
                }
            }
        }
        let revision = catalog.version().revision;
        // To whoever waits: otherwise this thread would mostly have it again at once.
        MutexGuard::unlock_fair(catalog);
        for (turn, by) in group.take_guards() {
            self.notice(turn, by, revision);
        }
        self.tell(told);
        run
    }
}
