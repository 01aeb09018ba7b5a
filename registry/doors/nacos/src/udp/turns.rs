//! In which order the subscriptions that are to be told something are told.
//!
//! Services take turns, so that one with thousands of subscribers, or one that is slow to render, does not keep the
//! others waiting: whoever subscribes to a quiet service waits for one slice of each busy one.

use std::collections::{HashMap, VecDeque};

use beatrix_core::model::ServiceKey;

/// Subscriptions that wait, by service.
#[derive(Debug, Default)]
pub(super) struct Turns {
    waiting: HashMap<ServiceKey, VecDeque<u64>>,
    /// The services of them, each once; the first is the next.
    order: VecDeque<ServiceKey>,
}

impl Turns {
    /// Puts a subscription at the end of those of its service.
    pub(super) fn add(&mut self, service: &ServiceKey, id: u64) {
        if let Some(waiting) = self.waiting.get_mut(service) {
            waiting.push_back(id);
            return;
        }
        self.waiting.insert(service.clone(), [id].into());
        self.order.push_back(service.clone());
    }

    /// The service whose turn it is.
    pub(super) fn service(&self) -> Option<&ServiceKey> {
        self.order.front()
    }

    /// The next subscription of the service whose turn it is. `None` if that is another one's.
    pub(super) fn next_of(&mut self, service: &ServiceKey) -> Option<u64> {
        if self.order.front() != Some(service) {
            return None;
        }
        let waiting = self.waiting.get_mut(service)?;
        let next = waiting.pop_front();
        if waiting.is_empty() {
            self.waiting.remove(service);
            self.order.pop_front();
        }
        next
    }

    /// The next service's turn, if the one whose turn it was is not done.
    pub(super) fn rotate(&mut self, service: &ServiceKey) {
        if self.order.front() == Some(service) {
            self.order.rotate_left(1);
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.order.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn service(name: &str) -> ServiceKey {
        format!("public/g/{name}").parse().unwrap()
    }

    #[test]
    fn services_take_turns_and_subscriptions_of_one_wait_in_line() {
        let (a, b, c) = (service("a"), service("b"), service("c"));
        let mut turns = Turns::default();
        assert_eq!(turns.service(), None);
        assert_eq!(turns.next_of(&a), None);
        for id in 1..=3 {
            turns.add(&a, id);
        }
        turns.add(&b, 10);
        assert_eq!(turns.service(), Some(&a));
        assert_eq!((turns.next_of(&b), turns.next_of(&a)), (None, Some(1)));
        turns.rotate(&a);
        turns.add(&c, 20);
        assert_eq!(turns.next_of(&b), Some(10));
        // It is done, so that it is another one's turn already.
        turns.rotate(&b);
        assert_eq!(turns.service(), Some(&a));
        assert_eq!(turns.next_of(&a), Some(2));
        turns.add(&a, 1);
        turns.rotate(&a);
        assert_eq!(turns.next_of(&c), Some(20));
        let rest = [turns.next_of(&a), turns.next_of(&a), turns.next_of(&a)];
        assert_eq!(rest, [Some(3), Some(1), None]);
        assert!(turns.is_empty() && turns.waiting.is_empty());
    }
}
