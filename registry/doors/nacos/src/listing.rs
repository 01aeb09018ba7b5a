//! The list of instances that callers may use, as all versions give it.
//!
//! Around the hosts stand few bytes that are of the request: the echo of `clusters` and the time. Who filters gets hosts
//! that are rendered for him.
//!
//! The protection threshold is applied here, at the edge, and nowhere else: health is what was measured, and only what
//! callers are told changes. Nacos 2.x: it is evaluated after all filters, and only for services that were declared, by
//! the service API or by settings of a cluster; a service that came with its instances has no protection.

use beatrix_core::catalog::View;
use beatrix_core::model::{Cluster, Invalid, Member, ServiceRef, Wall};
use beatrix_engine::Registry;
use beatrix_engine::formats::{NACOS, NACOS_PROTECTED};
use bytes::Bytes;

use crate::door::Nacos;
use crate::error::Error;
use crate::hosts::{Hosts, Shown, listed, string};
use crate::limits::CLUSTERS_MAX;
use crate::params::Param;
use crate::service::{Service, grouped_name};

/// How long a client shall wait until it asks again, in milliseconds. Nacos 2.x: always this, unless a switch says
/// otherwise.
const CACHE_MILLIS: u64 = 10_000;

/// From so many chunks on, the hosts of a view are joined.
const JOINED_FROM: usize = 2;

/// What stands behind the hosts.
const CLOSING: &[u8] = b"]}";

/// The members of the JSON array of hosts.
#[derive(Debug)]
pub(crate) enum HostList {
    /// In pieces.
    Open(Vec<Bytes>),
    /// All in one piece, and what stands behind them.
    Closed(Bytes),
}

impl HostList {
    /// `head`, which opens an object and in it an array; the hosts, and the ends of both.
    pub(crate) fn after(self, head: Bytes) -> Vec<Bytes> {
        match self {
            Self::Closed(all) => vec![head, all],
            Self::Open(some) => {
                let closing = Bytes::from_static(CLOSING);
                std::iter::once(head).chain(some).chain([closing]).collect()
            }
        }
    }

    /// Whether there is no host in it.
    fn is_empty(&self) -> bool {
        match self {
            Self::Open(pieces) => pieces.iter().all(Bytes::is_empty),
            Self::Closed(all) => all.len() == CLOSING.len(),
        }
    }
}

/// What a list has.
#[derive(Debug)]
pub(crate) struct Found {
    pub(crate) hosts: HostList,
    /// Whether they are called healthy, all of them, since too few are.
    pub(crate) protected: bool,
}

/// No hosts.
impl Default for Found {
    fn default() -> Self {
        Self {
            hosts: HostList::Open(Vec::new()),
            protected: false,
        }
    }
}

/// Which of its instances a list is about.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Filter<'a> {
    /// Names of clusters with commas between them; empty for all.
    pub(crate) clusters: &'a str,
    pub(crate) healthy_only: bool,
}

impl<'a> Filter<'a> {
    /// Nacos: a blank part of the clusters names none, and is no mistake.
    ///
    /// # Errors
    /// If a cluster breaks its rule, or there are too many; they are called `param`.
    pub(crate) fn check(&self, param: Param) -> Result<(), Error> {
        for (count, cluster) in (1..).zip(self.clusters.split(',')) {
            if count > CLUSTERS_MAX {
                let rule = format!("must have at most {CLUSTERS_MAX} names");
                return Err(Invalid::new(param.as_str(), rule, self.clusters).into());
            }
            if !cluster.trim().is_empty() {
                Cluster::check(cluster).map_err(|invalid| invalid.in_field(param.as_str()))?;
            }
        }
        Ok(())
    }

    /// What it wants, read once for all the instances that are asked about.
    pub(crate) fn wanted(&self) -> Wanted<'a> {
        let clusters = match self.clusters {
            "" => Clusters::All,
            names if !names.contains(',') => Clusters::One(names),
            names => {
                let mut names: Vec<&str> = names.split(',').collect();
                names.sort_unstable();
                names.dedup();
                Clusters::Some(names)
            }
        };
        Wanted {
            clusters,
            healthy_only: self.healthy_only,
        }
    }
}

/// A [`Filter`] that was read.
#[derive(Debug)]
pub(crate) struct Wanted<'a> {
    clusters: Clusters<'a>,
    healthy_only: bool,
}

/// Names of clusters. Nacos 2.x: the parts are compared as they are.
#[derive(Debug, PartialEq, Eq)]
enum Clusters<'a> {
    All,
    One(&'a str),
    /// Ordered, each once: a request may name a thousand, and a service have a hundred thousand instances.
    Some(Vec<&'a str>),
}

impl Wanted<'_> {
    /// Whether there is nothing that it would not let through.
    fn all(&self) -> bool {
        self.clusters == Clusters::All && !self.healthy_only
    }

    /// Whether it lets the instance through.
    pub(crate) fn passes(&self, member: &Member) -> bool {
        let cluster = member.record.cluster().as_str();
        let named = match &self.clusters {
            Clusters::All => true,
            Clusters::One(name) => *name == cluster,
            Clusters::Some(names) => names.binary_search(&cluster).is_ok(),
        };
        named && (!self.healthy_only || member.healthy())
    }
}

/// The hosts of a service. Nacos: a service that does not exist has none.
///
/// # Errors
/// If its name breaks a rule, or there are none and not all instances may be known.
pub(crate) fn hosts(nacos: &Nacos, service: &Service<'_>, filter: Filter<'_>) -> Result<Found, Error> {
    let view = nacos.registry.view(service.borrowed());
    if view.is_none() {
        service.key()?;
    }
    hosts_in(&nacos.registry, view.as_deref(), filter)
}

/// The hosts of a service, or of none.
///
/// # Errors
/// If there are none and not all instances may be known.
pub(crate) fn hosts_in(registry: &Registry, view: Option<&View>, filter: Filter<'_>) -> Result<Found, Error> {
    let Some(view) = view else {
        known(registry.complete())?;
        return Ok(Found::default());
    };
    let found = of_view(registry, view, filter);
    known(view.complete || !found.hosts.is_empty())?;
    Ok(found)
}

/// The hosts of a view.
pub(crate) fn of_view(registry: &Registry, view: &View, filter: Filter<'_>) -> Found {
    let hosts = Hosts::new(&view.key, registry.config().timings);
    let wanted = filter.wanted();
    // Many ask for the one cluster that there is.
    let whole = wanted.all() || {
        let mut usable = view.members().filter(|member| listed(member));
        usable.all(|member| wanted.passes(member))
    };
    let protected = protects(view, whole, || {
        let usable = view.members().filter(|member| listed(member));
        usable.filter(|member| wanted.passes(member))
    });
    let health = if protected {
        Shown::Protected
    } else {
        Shown::Measured
    };
    let hosts = if whole {
        all(&hosts, view, health)
    } else {
        HostList::Open(vec![hosts.some(view, health, |member| wanted.passes(member))])
    };
    Found { hosts, protected }
}

/// All hosts. Those of a large service are joined, once for each view, since a piece for each chunk would be a call of
/// the kernel for every few. Joined again for each request they are when all are called healthy, which is rare.
fn all(hosts: &Hosts<'_>, view: &View, health: Shown) -> HostList {
    if view.chunks().len() < JOINED_FROM || health == Shown::Protected {
        return HostList::Open(hosts.all(view, health));
    }
    HostList::Closed(view.renders().get(NACOS, || {
        let mut joined = hosts.all(view, health).concat();
        joined.extend_from_slice(CLOSING);
        joined.shrink_to_fit();
        joined.into()
    }))
}

/// After a restart what was restored is served, but no list without hosts before all may be known: clients take an empty
/// one at its word, and keep theirs after an error.
pub(crate) fn known(complete: bool) -> Result<(), Error> {
    if complete { Ok(()) } else { Err(Error::Warming) }
}

/// Whether so few of those that were asked for are healthy that all are to be called healthy. Nacos 2.x: at most as
/// many as the threshold says; none at all are never protected.
///
/// For the `whole` list it is counted once and kept with the view: that one is asked for most.
fn protects<'m, M: Iterator<Item = &'m Member>>(
    view: &View,
    whole: bool,
    members: impl FnOnce() -> M,
) -> bool {
    let Some(threshold) = threshold(view) else {
        return false;
    };
    let count = || {
        let (mut healthy, mut total) = (0_u32, 0_u32);
        for member in members() {
            healthy += u32::from(member.healthy());
            total += 1;
        }
        total > 0 && f64::from(healthy) / f64::from(total) <= threshold.max(0.0)
    };
    if !whole {
        return count();
    }
    let kept = view.renders().get(NACOS_PROTECTED, || {
        Bytes::from_static(if count() { b"protected" } else { b"" })
    });
    !kept.is_empty()
}

/// The threshold of a service that was declared.
fn threshold(view: &View) -> Option<f64> {
    let settings = view.settings.as_ref()?;
    Some(settings.protect_threshold.get())
}

/// Around what the hosts stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Frame {
    /// The answer to a request over HTTP.
    Listed { cache_millis: u64 },
    /// What is pushed by datagram. Nacos: without `groupName`.
    Pushed { cache_millis: u64 },
    /// Whatever is said over gRPC. Nacos: `name` is the bare name there; Go's client keeps its lists by both names, and
    /// would not find them under a grouped one.
    Grpc { cache_millis: u64 },
}

/// How long a client shall wait until it asks again, as it is now.
pub(crate) fn cache_millis(nacos: &Nacos) -> u64 {
    nacos
        .unusual()
        .map_or(CACHE_MILLIS, |switches| switches.push_cache_millis)
}

/// The whole list, in pieces: the hosts with what is of the request around them. Nacos: `clusters` is echoed as it
/// came, since clients find their cache by it.
pub(crate) fn whole(nacos: &Nacos, service: ServiceRef<'_>, clusters: &str, found: Found) -> Vec<Bytes> {
    let frame = Frame::Listed {
        cache_millis: cache_millis(nacos),
    };
    around(service, frame, clusters, found, nacos.registry.wall())
}

/// Puts what is of the request before the hosts. They come last, unlike in Nacos, which is all the same to JSON: so what
/// stands behind them is the same for all, and a large list is sent with one call of the kernel.
pub(crate) fn around(
    service: ServiceRef<'_>,
    frame: Frame,
    clusters: &str,
    found: Found,
    now: Wall,
) -> Vec<Bytes> {
    let Found { hosts, protected } = found;
    let mut head = Vec::with_capacity(320);
    head.extend_from_slice(b"{\"name\":");
    match frame {
        Frame::Listed { .. } | Frame::Pushed { .. } => string(&mut head, &grouped_name(service)),
        Frame::Grpc { .. } => string(&mut head, service.name),
    }
    let cache_millis = match frame {
        Frame::Listed { cache_millis } | Frame::Grpc { cache_millis } => {
            head.extend_from_slice(b",\"groupName\":");
            string(&mut head, service.group);
            cache_millis
        }
        Frame::Pushed { cache_millis } => cache_millis,
    };
    head.extend_from_slice(b",\"clusters\":");
    string(&mut head, clusters);
    let rest = format!(
        ",\"cacheMillis\":{cache_millis},\"lastRefTime\":{},\"checksum\":\"\",\"allIPs\":false,\
         \"reachProtectionThreshold\":{protected},\"valid\":true,\"hosts\":[",
        now.0
    );
    head.extend_from_slice(rest.as_bytes());
    hosts.after(Bytes::from(head))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_registry_that_may_not_know_all_serves_no_empty_list() {
        let empty = [
            HostList::Open(vec![Bytes::new()]),
            HostList::Open(Vec::new()),
            HostList::Closed(Bytes::from_static(CLOSING)),
        ];
        assert!(empty.iter().all(HostList::is_empty));
        assert!(!HostList::Open(vec![Bytes::new(), Bytes::from_static(b"{}")]).is_empty());
        assert!(known(true).is_ok());
        assert!(matches!(known(false), Err(Error::Warming)));
    }

    #[test]
    fn the_names_of_clusters_are_read_once_and_kept_once() {
        for (clusters, wanted) in [
            ("", Clusters::All),
            ("Z", Clusters::One("Z")),
            (" ", Clusters::One(" ")),
            ("Z,b,Z,,Z,a", Clusters::Some(vec!["", "Z", "a", "b"])),
        ] {
            let filter = Filter {
                clusters,
                healthy_only: false,
            };
            assert_eq!(filter.wanted().clusters, wanted, "{clusters:?}");
        }
    }

    #[test]
    fn names_and_clusters_are_escaped() {
        let service = ServiceRef {
            namespace: "public",
            group: "g",
            name: "a\"b\\",
        };
        let found = Found {
            hosts: HostList::Open(vec![Bytes::from_static(b"{}")]),
            protected: true,
        };
        let frame = Frame::Listed { cache_millis: 10_000 };
        let json = around(service, frame, "c\u{1}\"", found, Wall(7)).concat();
        let json: serde_json::Value = serde_json::from_slice(&json).unwrap();
        assert_eq!(json["name"], "g@@a\"b\\");
        assert_eq!(json["clusters"], "c\u{1}\"");
        assert_eq!(json["lastRefTime"], 7);
        assert_eq!(json["reachProtectionThreshold"], true);
    }
}
