//! Lists of services and pages of instances, for clients and consoles.

use std::borrow::Cow;
use std::sync::Arc;

use beatrix_core::catalog::{DirectoryPage, DirectoryQuery, DirectoryWalk, Summary, View};
use beatrix_core::model::{Group, Invalid, Member, Namespace, ServiceKey};
use bytes::Bytes;

use crate::door::Nacos;
use crate::error::Error;
use crate::hosts::{Hosts, Shown};
use crate::limits::{INSTANCES_PAGE_MAX, PAGE_SIZE_MAX};
use crate::params::{Param, Params};

/// How many views are made before other requests get a turn.
const STEP: usize = 256;

/// A page of a list, as it was asked for. Pages are counted from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Page {
    pub(crate) number: usize,
    pub(crate) size: usize,
}

impl Page {
    /// How many come before it.
    pub(crate) fn offset(self) -> usize {
        self.number.saturating_sub(1).saturating_mul(self.size)
    }

    /// The page that v1 is asked for. Nacos v1: what is no number counts as 0, and a page below 1 is the first.
    ///
    /// # Errors
    /// If either number is missing where it has no `default`.
    pub(crate) fn lenient(params: &Params<'_>, default: Option<Self>) -> Result<Self, Error> {
        // Java's int; more is no number.
        Self::read(params, default, |_, text| {
            Ok(text
                .parse::<i32>()
                .ok()
                .and_then(|n| usize::try_from(n).ok())
                .unwrap_or(0))
        })
    }

    /// The page that v2 and v3 are asked for. Nacos 3.x: both numbers must be at least 1.
    ///
    /// # Errors
    /// If a number is none or below 1, or is missing where it has no `default`.
    pub(crate) fn strict(params: &Params<'_>, default: Option<Self>) -> Result<Self, Error> {
        Self::read(params, default, |name, text| {
            let number = text.parse::<i32>().ok().and_then(|n| usize::try_from(n).ok());
            let rule = "must be a whole number of at least 1";
            let invalid = || Invalid::new(name.as_str(), rule, text);
            Ok(number.filter(|number| *number >= 1).ok_or_else(invalid)?)
        })
    }

    fn read(
        params: &Params<'_>,
        default: Option<Self>,
        parse: impl Fn(Param, &str) -> Result<usize, Error>,
    ) -> Result<Self, Error> {
        let number = |name, default: Option<usize>| match (params.get(name)?, default) {
            (Some(text), _) => parse(name, &text),
            (None, Some(default)) => Ok(default),
            (None, None) => Err(Error::Missing(name)),
        };
        Ok(Self {
            number: number(Param::PageNo, default.map(|page| page.number))?,
            size: number(Param::PageSize, default.map(|page| page.size))?,
        })
    }

    /// The page of at most `max`, as if that had been asked for.
    pub(crate) fn capped(self, max: usize) -> Self {
        Self {
            size: self.size.min(max),
            ..self
        }
    }

    /// Whether the page may be given. One that would have more than `max` is refused and not cut: whoever reads page by
    /// page would take what is cut off for not there.
    ///
    /// # Errors
    /// If it has more of all the `total`.
    pub(crate) fn check(self, total: usize, max: usize) -> Result<(), Error> {
        let found = total.saturating_sub(self.offset()).min(self.size);
        if found <= max {
            return Ok(());
        }
        let rule = format!("must be at most {max}, where there are so many");
        Err(Invalid::new(Param::PageSize.as_str(), rule, &self.size.to_string()).into())
    }
}

/// The namespace that is asked for, or the default one.
///
/// # Errors
/// If it breaks its rule.
pub(crate) fn namespace<'a>(params: &Params<'a>) -> Result<Cow<'a, str>, Error> {
    let namespace = params
        .get(Param::Namespace)?
        .unwrap_or(Cow::Borrowed(Namespace::DEFAULT));
    Namespace::check(&namespace)?;
    Ok(namespace)
}

/// A page of the names of the services of one group, ordered, and how many there are. Nacos: those that were declared
/// are listed without instances, too.
///
/// # Errors
/// If a parameter breaks its rule.
pub(crate) async fn of_group(
    nacos: &Nacos,
    params: &Params<'_>,
    page: Page,
) -> Result<(Vec<ServiceKey>, usize), Error> {
    let namespace = namespace(params)?;
    let group = params.get(Param::Group)?.unwrap_or(Cow::Borrowed(Group::DEFAULT));
    Group::check(&group)?;
    let query = DirectoryQuery {
        namespace: &namespace,
        group: Some(&group),
        group_contains: None,
        search: None,
        empty: false,
        declared: true,
        offset: page.offset(),
        limit: page.size,
    };
    Ok(names(nacos, query).await)
}

/// The names that a query finds, and how many there are in all. They are all that is kept of each step: clients ask for
/// all services at once, and there may be a million.
pub(crate) async fn names(nacos: &Nacos, query: DirectoryQuery<'_>) -> (Vec<ServiceKey>, usize) {
    let mut walk = DirectoryWalk::new(query);
    let mut names = Vec::new();
    loop {
        let more = nacos.registry.directory_step(&mut walk);
        names.extend(walk.take_found().into_iter().map(|summary| summary.key));
        if !more {
            return (names, walk.total());
        }
        tokio::task::yield_now().await;
    }
}

/// A page of the services whose group and name contain what is asked for, also of those that have lost all instances:
/// who cleans up must see them. Nacos takes pieces of regular expressions; here they are texts.
///
/// # Errors
/// If a parameter breaks its rule, or the page has more than [`PAGE_SIZE_MAX`].
pub(crate) async fn search(
    nacos: &Nacos,
    params: &Params<'_>,
    page: Page,
    empty: bool,
) -> Result<DirectoryPage, Error> {
    let namespace = namespace(params)?;
    let (name, group) = (params.get(Param::NamePart)?, params.get(Param::GroupPart)?);
    let mut walk = DirectoryWalk::new(DirectoryQuery {
        namespace: &namespace,
        group: None,
        group_contains: group.as_deref(),
        search: name.as_deref(),
        empty,
        declared: empty,
        offset: page.offset(),
        limit: page.size.min(PAGE_SIZE_MAX),
    });
    while nacos.registry.directory_step(&mut walk) {
        tokio::task::yield_now().await;
    }
    page.check(walk.total(), PAGE_SIZE_MAX)?;
    Ok(walk.page())
}

/// The views of the services of a page, for who shows their hosts as well.
///
/// # Errors
/// If the page has more than [`INSTANCES_PAGE_MAX`] hosts, where a service without any counts like one.
pub(crate) async fn views(nacos: &Nacos, services: &[Summary]) -> Result<Vec<Arc<View>>, Error> {
    let hosts: usize = services.iter().map(|summary| summary.instances.max(1)).sum();
    if hosts > INSTANCES_PAGE_MAX {
        let rule = format!("must be so small that the page has at most {INSTANCES_PAGE_MAX} instances");
        let size = services.len().to_string();
        return Err(Invalid::new(Param::PageSize.as_str(), rule, &size).into());
    }
    let mut views = Vec::with_capacity(services.len());
    for step in services.chunks(STEP) {
        let of_step = step.iter();
        views.extend(of_step.filter_map(|summary| nacos.registry.view(summary.key.borrowed())));
        tokio::task::yield_now().await;
    }
    Ok(views)
}

/// Whether the protection threshold is reached, as consoles show it. Nacos 2.x: never for a service without instances,
/// and always for one whose instances are all unhealthy.
pub(crate) fn is_triggered(summary: &Summary) -> bool {
    let settings = summary.settings.as_ref();
    let threshold = settings.map_or(0.0, |settings| settings.protect_threshold.get());
    let ratio = |part: usize, whole: usize| {
        // Counts of instances are far below where this would lose digits.
        part as f64 / whole as f64
    };
    summary.instances > 0 && ratio(summary.healthy, summary.instances) <= threshold
}

/// The hosts of a page of those instances of a view that are `wanted`, with the health that was measured, and how many of
/// these there are in all.
///
/// # Errors
/// If the page holds more than it may.
pub(crate) fn hosts_of_page(
    nacos: &Nacos,
    view: &View,
    page: Page,
    wanted: impl Fn(&Member) -> bool,
) -> Result<(Bytes, usize), Error> {
    let members = || view.members().filter(|member| wanted(member));
    let count = members().count();
    page.check(count, INSTANCES_PAGE_MAX)?;
    let hosts = Hosts::new(&view.key, nacos.registry.config().timings);
    let of_page = members().skip(page.offset()).take(page.size);
    Ok((hosts.these(of_page, Shown::Measured), count))
}
