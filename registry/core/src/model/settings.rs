//! What is said about a service as a whole, apart from its instances.

use std::collections::BTreeMap;

use super::{Checker, Cluster, Invalid, Lifetime, Metadata, Selector, SlowStart, Threshold};

/// For how many clusters a service may have settings.
pub const CLUSTERS_SET_MAX: usize = 64;

/// What must be true of a thing for a declaration of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Existence {
    /// Nothing: it is made or changed.
    #[default]
    Any,
    /// It is there, and is changed.
    Present,
    /// It is not there, and is made.
    Absent,
}

/// What was declared about a service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServiceSettings {
    /// How long its instances are kept. It binds every registration. Nacos 2.x: a service is either ephemeral or
    /// persistent.
    pub lifetime: Option<Lifetime>,
    /// The share of healthy instances at which callers are shown all.
    pub protect_threshold: Threshold,
    /// Free labels.
    pub metadata: Metadata,
    /// How to choose among its instances.
    pub selector: Selector,
    /// What is said about clusters; at most [`CLUSTERS_SET_MAX`].
    pub clusters: BTreeMap<Cluster, ClusterSettings>,
    /// Whether silence has consequences. Nacos 2.x: the service's metadata `enableClientBeat=true` turns them off.
    pub expires: bool,
    /// How its instances begin to serve; `None`: with all of their weight at once.
    pub slow_start: Option<SlowStart>,
}

/// Nothing was said.
impl Default for ServiceSettings {
    fn default() -> Self {
        Self {
            lifetime: None,
            protect_threshold: Threshold::default(),
            metadata: Metadata::default(),
            selector: Selector::None,
            clusters: BTreeMap::new(),
            expires: true,
            slow_start: None,
        }
    }
}

/// What is said about a cluster of a service: how to ask its instances whether they are well.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClusterSettings {
    /// How to ask.
    pub checker: Checker,
    /// At which port, if not at the instance's own.
    pub check_port: u16,
    /// Whether to ask at the instance's own port.
    pub use_instance_port: bool,
    /// Free labels.
    pub metadata: Metadata,
}

/// Nacos 2.x: by TCP, at the instance's own port, and 80 where that is turned off.
impl Default for ClusterSettings {
    fn default() -> Self {
        Self {
            checker: Checker::Tcp,
            check_port: 80,
            use_instance_port: true,
            metadata: Metadata::default(),
        }
    }
}

/// A change of [`ServiceSettings`]. What is absent stays; the default changes nothing.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ServicePatch {
    /// Binds the lifetime, or lets go of it.
    pub lifetime: Option<Option<Lifetime>>,
    /// Sets the threshold.
    pub protect_threshold: Option<Threshold>,
    /// Replaces all labels.
    pub metadata: Option<Metadata>,
    /// Replaces the selector.
    pub selector: Option<Selector>,
    /// Sets whether silence has consequences.
    pub expires: Option<bool>,
    /// Sets how instances begin to serve, or ends that.
    pub slow_start: Option<Option<SlowStart>>,
    /// Replaces what is said about a cluster, or takes it away.
    pub clusters: BTreeMap<Cluster, Option<ClusterSettings>>,
}

impl ServicePatch {
    /// What makes `after` of `before`, all of it.
    #[must_use]
    pub fn replacing(before: Option<&ServiceSettings>, after: &ServiceSettings) -> Self {
        let ServiceSettings {
            lifetime,
            protect_threshold,
            metadata,
            selector,
            clusters,
            expires,
            slow_start,
        } = after.clone();
        let before = before.into_iter().flat_map(|before| before.clusters.keys());
        let gone = before.filter(|cluster| !after.clusters.contains_key(*cluster));
        let gone = gone.map(|cluster| (cluster.clone(), None));
        let clusters = clusters
            .into_iter()
            .map(|(cluster, settings)| (cluster, Some(settings)));
        Self {
            lifetime: Some(lifetime),
            protect_threshold: Some(protect_threshold),
            metadata: Some(metadata),
            selector: Some(selector),
            expires: Some(expires),
            slow_start: Some(slow_start),
            clusters: gone.chain(clusters).collect(),
        }
    }
}

impl ServiceSettings {
    /// The settings after `patch`.
    ///
    /// # Errors
    /// If a text of the patch breaks its rule, or there would be settings for too many clusters.
    pub fn patched(&self, patch: &ServicePatch) -> Result<Self, Invalid> {
        if let Some(selector) = &patch.selector {
            selector.check()?;
        }
        let mut clusters = self.clusters.clone();
        for (cluster, settings) in &patch.clusters {
            match settings {
                Some(settings) => {
                    settings.checker.check()?;
                    settings.probe()?;
                    clusters.insert(cluster.clone(), settings.clone());
                }
                None => {
                    clusters.remove(cluster);
                }
            }
        }
        if clusters.len() > CLUSTERS_SET_MAX {
            let found = format!("{} clusters", clusters.len());
            return Err(Invalid::new(
                "clusters",
                "must be at most 64 with settings",
                &found,
            ));
        }
        Ok(Self {
            lifetime: patch.lifetime.unwrap_or(self.lifetime),
            protect_threshold: patch.protect_threshold.unwrap_or(self.protect_threshold),
            metadata: patch.metadata.as_ref().unwrap_or(&self.metadata).clone(),
            selector: patch.selector.as_ref().unwrap_or(&self.selector).clone(),
            clusters,
            expires: patch.expires.unwrap_or(self.expires),
            slow_start: patch.slow_start.unwrap_or(self.slow_start),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cluster(number: usize) -> Cluster {
        format!("c{number}").parse().unwrap()
    }

    fn clusters(numbers: std::ops::Range<usize>) -> ServicePatch {
        ServicePatch {
            clusters: numbers
                .map(|number| (cluster(number), Some(ClusterSettings::default())))
                .collect(),
            ..ServicePatch::default()
        }
    }

    #[test]
    fn a_patch_changes_only_what_it_names() {
        let settings = ServiceSettings::default();
        assert_eq!(settings.patched(&ServicePatch::default()), Ok(settings.clone()));
        let patch = ServicePatch {
            lifetime: Some(Some(Lifetime::Ephemeral)),
            expires: Some(false),
            ..clusters(0..1)
        };
        let settings = settings.patched(&patch).unwrap();
        assert_eq!(settings.lifetime, Some(Lifetime::Ephemeral));
        assert!(!settings.expires && settings.clusters.contains_key(&cluster(0)));
        assert_eq!(settings.protect_threshold, Threshold::default());
        let patch = ServicePatch {
            lifetime: Some(None),
            clusters: BTreeMap::from([(cluster(0), None)]),
            ..ServicePatch::default()
        };
        let settings = settings.patched(&patch).unwrap();
        assert_eq!((settings.lifetime, settings.clusters.len()), (None, 0));
        assert!(!settings.expires);
    }

    #[test]
    fn at_most_64_clusters_have_settings() {
        let full = ServiceSettings::default().patched(&clusters(0..64)).unwrap();
        assert_eq!(full.patched(&clusters(0..64)), Ok(full.clone()));
        assert_eq!(full.patched(&clusters(64..65)).unwrap_err().field, "clusters");
        // One can take the place of another.
        let mut patch = clusters(64..65);
        patch.clusters.insert(cluster(0), None);
        assert!(full.patched(&patch).is_ok());
    }

    #[test]
    fn what_breaks_a_rule_is_not_taken() {
        let selector = Selector::Label {
            expression: "\n".into(),
        };
        let patch = ServicePatch {
            selector: Some(selector),
            ..ServicePatch::default()
        };
        assert_eq!(
            ServiceSettings::default().patched(&patch).unwrap_err().field,
            "selector"
        );
        let checker = Checker::Http {
            path: "x".repeat(2_000),
            headers: String::new(),
            expected_status: 200,
        };
        let settings = ClusterSettings {
            checker,
            ..ClusterSettings::default()
        };
        let patch = ServicePatch {
            clusters: BTreeMap::from([(cluster(0), Some(settings))]),
            ..ServicePatch::default()
        };
        assert_eq!(
            ServiceSettings::default().patched(&patch).unwrap_err().field,
            "checker_path"
        );
    }
}
