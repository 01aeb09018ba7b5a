//! The instances of one service, ordered by endpoint, in shared chunks.
//!
//! A view must be immutable and cheap to make, a change must be cheap too, and a service may have a hundred thousand
//! instances. So they stand in chunks of at most 64. A view shares the chunks; a change copies the one chunk that it
//! touches if a view shares it, and writes in place if not. What was rendered of a chunk is kept with it, so that
//! after a change only one chunk is rendered anew.

use std::sync::Arc;

use crate::model::{Endpoint, Member};

use super::view::Renders;

const CHUNK_MAX: usize = 64;

/// Some neighbours of a service, and what was rendered of them.
#[derive(Debug, Default)]
pub struct Chunk {
    members: Vec<Member>,
    renders: Renders,
}

impl Chunk {
    /// The instances, ordered by endpoint.
    #[must_use]
    pub fn members(&self) -> &[Member] {
        &self.members
    }

    /// What was rendered of this chunk.
    #[must_use]
    pub fn renders(&self) -> &Renders {
        &self.renders
    }
}

/// A copy is made to be changed: what was rendered is not taken along.
impl Clone for Chunk {
    fn clone(&self) -> Self {
        let mut members = Vec::with_capacity(CHUNK_MAX);
        members.extend_from_slice(&self.members);
        Self {
            members,
            renders: Renders::default(),
        }
    }
}

/// All instances of a service.
#[derive(Debug, Default)]
pub(crate) struct Roster {
    chunks: Vec<Arc<Chunk>>,
    /// The first endpoint of each chunk, side by side: a search touches no chunk but the right one.
    firsts: Vec<Endpoint>,
    len: usize,
}

impl Roster {
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.len == 0
    }

    pub(crate) fn chunks(&self) -> &[Arc<Chunk>] {
        &self.chunks
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Member> {
        self.chunks.iter().flat_map(|chunk| &chunk.members)
    }

    pub(crate) fn get(&self, endpoint: &Endpoint) -> Option<&Member> {
        let chunk = &self.chunks.get(self.chunk_of(endpoint))?.members;
        let place = chunk
            .binary_search_by(|member| member.endpoint.cmp(endpoint))
            .ok()?;
        Some(&chunk[place])
    }

    /// The instance, to be changed in place. Its endpoint must stay.
    pub(crate) fn get_mut(&mut self, endpoint: &Endpoint) -> Option<&mut Member> {
        let at = self.chunk_of(endpoint);
        let found = &self.chunks.get(at)?.members;
        // Found before it is copied: a miss must not cost a copy.
        let place = found
            .binary_search_by(|member| member.endpoint.cmp(endpoint))
            .ok()?;
        Some(&mut self.writable(at).members[place])
    }

    /// Changes all instances of a chunk in place. Their endpoints must stay.
    pub(crate) fn chunk_mut(&mut self, at: usize) -> &mut [Member] {
        &mut self.writable(at).members
    }

    /// The first chunk with instances after `endpoint`, or the first of all.
    pub(crate) fn chunk_after(&self, endpoint: Option<&Endpoint>) -> usize {
        let Some(endpoint) = endpoint else { return 0 };
        let at = self.chunk_of(endpoint);
        let last = self.chunks.get(at).and_then(|chunk| chunk.members.last());
        at + usize::from(last.is_some_and(|last| last.endpoint <= *endpoint))
    }

    /// Whether `endpoint` comes after all others.
    pub(crate) fn is_last(&self, endpoint: &Endpoint) -> bool {
        let last = self.chunks.last().and_then(|chunk| chunk.members.last());
        last.is_none_or(|last| last.endpoint < *endpoint)
    }

    /// Adds an instance that comes after all others: see [`Roster::is_last`].
    pub(crate) fn push(&mut self, member: Member) {
        debug_assert!(self.is_last(&member.endpoint));
        let full = |chunk: &Arc<Chunk>| chunk.members.len() >= CHUNK_MAX;
        if self.chunks.last().is_none_or(full) {
            self.firsts.push(member.endpoint.clone());
            self.chunks.push(Arc::new(Chunk {
                members: Vec::with_capacity(CHUNK_MAX),
                renders: Renders::default(),
            }));
        }
        let at = self.chunks.len() - 1;
        self.writable(at).members.push(member);
        self.len += 1;
    }

    /// Adds an instance that is not there yet.
    pub(crate) fn insert(&mut self, member: Member) {
        if self.chunks.is_empty() {
            self.chunks.push(Arc::default());
            self.firsts.push(member.endpoint.clone());
        }
        let at = self.chunk_of(&member.endpoint);
        let chunk = self.writable(at);
        let Err(place) = chunk
            .members
            .binary_search_by(|other| other.endpoint.cmp(&member.endpoint))
        else {
            unreachable!("an instance is added once")
        };
        chunk.members.insert(place, member);
        let split = (chunk.members.len() > CHUNK_MAX).then(|| {
            // Whoever registers in order fills chunks from the end: then leave full ones behind, not half ones.
            let at_end = place + 1 == chunk.members.len();
            let keep = if at_end { CHUNK_MAX } else { CHUNK_MAX / 2 };
            let members = chunk.members.split_off(keep);
            // The one too many doubled the memory.
            chunk.members.shrink_to(CHUNK_MAX);
            Chunk {
                members,
                renders: Renders::default(),
            }
        });
        self.len += 1;
        self.note_first(at);
        if let Some(split) = split {
            self.firsts.insert(at + 1, split.members[0].endpoint.clone());
            self.chunks.insert(at + 1, Arc::new(split));
        }
        self.check();
    }

    pub(crate) fn remove(&mut self, endpoint: &Endpoint) -> Option<Member> {
        let at = self.chunk_of(endpoint);
        let found = &self.chunks.get(at)?.members;
        let place = found
            .binary_search_by(|member| member.endpoint.cmp(endpoint))
            .ok()?;
        let removed = self.writable(at).members.remove(place);
        self.len -= 1;
        if self.chunks[at].members.is_empty() {
            self.chunks.remove(at);
            self.firsts.remove(at);
        } else {
            self.note_first(at);
            self.merge_small(at);
        }
        self.check();
        Some(removed)
    }

    /// The chunk in which `endpoint` is, or belongs.
    fn chunk_of(&self, endpoint: &Endpoint) -> usize {
        self.firsts
            .partition_point(|first| first <= endpoint)
            .saturating_sub(1)
    }

    /// The chunk, unshared and with nothing rendered.
    fn writable(&mut self, at: usize) -> &mut Chunk {
        let chunk = Arc::make_mut(&mut self.chunks[at]);
        chunk.renders.clear();
        chunk
    }

    fn note_first(&mut self, at: usize) {
        let first = &self.chunks[at].members[0].endpoint;
        if self.firsts[at] != *first {
            self.firsts[at] = first.clone();
        }
    }

    /// Joins a chunk that has become small with the next one, so that removals do not leave a trail of tiny ones.
    fn merge_small(&mut self, at: usize) {
        let fits = |this: &Chunk, next: &Chunk| this.members.len() + next.members.len() <= CHUNK_MAX / 2;
        if self
            .chunks
            .get(at + 1)
            .is_some_and(|next| fits(&self.chunks[at], next))
        {
            let next = self.chunks.remove(at + 1);
            self.firsts.remove(at + 1);
            self.writable(at).members.extend_from_slice(&next.members);
        }
    }

    /// The order within a chunk is kept by binary search; what can go wrong is the list of firsts.
    fn check(&self) {
        debug_assert_eq!(self.chunks.len(), self.firsts.len());
        debug_assert!(self.chunks.len() > 64 || self.iter().count() == self.len);
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;
    use crate::catalog::testing::member;

    proptest! {
        /// Views that are held while the roster changes must not change with it.
        #[test]
        fn it_agrees_with_an_ordered_map(ops in prop::collection::vec((0_u8..4, 0_u16..400), 0..1_500)) {
            let mut roster = Roster::default();
            let mut model: BTreeMap<Endpoint, u32> = BTreeMap::new();
            let mut held: Option<(Vec<Arc<Chunk>>, Vec<Endpoint>)> = None;
            for (step, (op, port)) in ops.into_iter().enumerate() {
                let endpoint = Endpoint::new("10.0.0.1", port).unwrap();
                match op {
                    0 | 1 if !model.contains_key(&endpoint) => {
                        roster.insert(member(&endpoint, step as u32));
                        model.insert(endpoint.clone(), step as u32);
                    }
                    0 | 1 => {
                        roster.get_mut(&endpoint).unwrap().slot = step as u32;
                        model.insert(endpoint.clone(), step as u32);
                    }
                    2 => {
                        let removed = roster.remove(&endpoint).map(|member| member.slot);
                        prop_assert_eq!(removed, model.remove(&endpoint));
                    }
                    _ => held = Some((roster.chunks.clone(), model.keys().cloned().collect())),
                }
                prop_assert_eq!(roster.len(), model.len());
                prop_assert_eq!(roster.get(&endpoint).map(|m| m.slot), model.get(&endpoint).copied());
                if let Some((chunks, expected)) = &held {
                    let seen: Vec<_> =
                        chunks.iter().flat_map(|c| &c.members).map(|m| m.endpoint.clone()).collect();
                    prop_assert_eq!(&seen, expected);
                }
            }
            let all: Vec<_> = roster.iter().map(|m| (m.endpoint.clone(), m.slot)).collect();
            prop_assert_eq!(all, model.into_iter().collect::<Vec<_>>());
        }
    }

    #[test]
    fn registering_in_order_leaves_full_chunks() {
        let mut roster = Roster::default();
        for port in 1..=6_400 {
            roster.insert(member(&Endpoint::new("10.0.0.1", port).unwrap(), 0));
        }
        assert_eq!(roster.chunks().len(), 100);
    }
}
