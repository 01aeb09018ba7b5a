//! What an operator sets on an instance: the upper of the two layers.

use std::collections::BTreeMap;

use super::{Invalid, Metadata, Weight};

/// Overrides of an operator. They lie over what the client registered and survive its re-registration.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct OperatorLayer {
    /// Overrides whether it is switched on.
    pub enabled: Option<bool>,
    /// Overrides the weight.
    pub weight: Option<Weight>,
    /// Put over the client's metadata, key by key.
    pub metadata: Metadata,
    /// It is being emptied of traffic.
    pub draining: bool,
    /// The layer survives deregistration and another incarnation.
    pub sticky: bool,
}

/// A change of an [`OperatorLayer`]. What is absent stays.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct OperatorPatch {
    /// Overrides whether it is switched on.
    pub enabled: Option<bool>,
    /// Overrides the weight.
    pub weight: Option<Weight>,
    /// Sets a key, or takes the operator's value of it away.
    pub metadata: BTreeMap<String, Option<String>>,
    /// Starts or ends draining.
    pub draining: Option<bool>,
    /// Sets whether the layer is sticky.
    pub sticky: Option<bool>,
    /// What is changed where there is no layer yet; `None` for one that overrides nothing.
    pub fresh: Option<Box<OperatorLayer>>,
}

impl OperatorLayer {
    /// Whether it overrides nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self
            == Self {
                sticky: self.sticky,
                ..Self::default()
            }
    }

    /// The layer after `patch`.
    ///
    /// # Errors
    /// If the metadata would break its limits.
    pub fn patched(&self, patch: &OperatorPatch) -> Result<Self, Invalid> {
        let mut metadata: BTreeMap<&str, &str> = self.metadata.iter().collect();
        for (key, value) in &patch.metadata {
            match value {
                Some(value) => metadata.insert(key, value),
                None => metadata.remove(key.as_str()),
            };
        }
        Ok(Self {
            enabled: patch.enabled.or(self.enabled),
            weight: patch.weight.or(self.weight),
            metadata: Metadata::new(metadata)?,
            draining: patch.draining.unwrap_or(self.draining),
            sticky: patch.sticky.unwrap_or(self.sticky),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_patch_changes_only_what_it_names() {
        let patch = OperatorPatch {
            enabled: Some(false),
            metadata: BTreeMap::from([("a".into(), Some("1".into())), ("b".into(), Some("2".into()))]),
            ..OperatorPatch::default()
        };
        let layer = OperatorLayer::default().patched(&patch).unwrap();
        assert_eq!((layer.enabled, layer.weight), (Some(false), None));
        let patch = OperatorPatch {
            metadata: BTreeMap::from([("a".into(), None)]),
            ..OperatorPatch::default()
        };
        let layer = layer.patched(&patch).unwrap();
        assert_eq!(layer.metadata.iter().collect::<Vec<_>>(), [("b", "2")]);
        assert_eq!(layer.enabled, Some(false));
        assert!(!layer.is_empty());
        assert!(
            OperatorLayer {
                sticky: true,
                ..OperatorLayer::default()
            }
            .is_empty()
        );
    }
}
