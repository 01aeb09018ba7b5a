//! The clusters that a service's instances are in, with how many are in each.

use std::collections::BTreeMap;

use crate::model::Cluster;

/// How many clusters are searched one by one. Few services have more; theirs stand in a map.
const NEAR_MAX: usize = 16;

/// Cluster names by how many instances have them. Each name is kept once and shared by all of them.
#[derive(Debug, Default)]
pub(super) struct Clusters {
    near: Vec<(Cluster, u32)>,
    far: BTreeMap<Cluster, u32>,
}

impl Clusters {
    /// Counts an instance in; returns the name to share.
    pub(super) fn enter(&mut self, cluster: &Cluster) -> Cluster {
        if let Some((known, count)) = self.near.iter_mut().find(|(known, _)| known == cluster) {
            *count += 1;
            return known.clone();
        }
        if let Some((known, _)) = self.far.get_key_value(cluster) {
            let known = known.clone();
            self.far.entry(known.clone()).and_modify(|count| *count += 1);
            return known;
        }
        if self.near.len() < NEAR_MAX {
            self.near.push((cluster.clone(), 1));
        } else {
            self.far.insert(cluster.clone(), 1);
        }
        cluster.clone()
    }

    /// Counts an instance out.
    pub(super) fn leave(&mut self, cluster: &Cluster) {
        if let Some(place) = self.near.iter().position(|(known, _)| known == cluster) {
            self.near[place].1 -= 1;
            if self.near[place].1 == 0 {
                self.near.swap_remove(place);
            }
        } else if let Some(count) = self.far.get_mut(cluster) {
            *count -= 1;
            if *count == 0 {
                self.far.remove(cluster);
            }
        }
    }

    /// How many clusters there are.
    pub(super) fn len(&self) -> usize {
        self.near.len() + self.far.len()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn it_agrees_with_a_map_and_shares_each_name(ops in prop::collection::vec((any::<bool>(), 0_u8..40), 0..400)) {
            let mut clusters = Clusters::default();
            let mut model: BTreeMap<u8, Vec<Cluster>> = BTreeMap::new();
            for (enters, number) in ops {
                let cluster: Cluster = format!("c{number}").parse().unwrap();
                let held = model.entry(number).or_default();
                if enters {
                    let shared = clusters.enter(&cluster);
                    prop_assert_eq!(&shared, &cluster);
                    if let Some(first) = held.first() {
                        prop_assert!(std::ptr::eq(first.as_str(), shared.as_str()));
                    }
                    held.push(shared);
                } else if held.pop().is_some() {
                    clusters.leave(&cluster);
                }
                let expected = model.values().filter(|held| !held.is_empty()).count();
                prop_assert_eq!(clusters.len(), expected);
            }
        }
    }
}
