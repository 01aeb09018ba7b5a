//! Lists of services, for clients and consoles.

use std::borrow::Cow;

use beatrix_core::catalog::{DirectoryPage, DirectoryQuery, Summary};
use beatrix_core::model::{Group, Invalid, Namespace};

use crate::door::Nacos;
use crate::error::Error;
use crate::params::{Param, Params};

/// A page of a list. Pages are counted from 1.
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
    pub(crate) fn lenient(
        params: &Params<'_>,
        default: Option<Self>,
        size_max: usize,
    ) -> Result<Self, Error> {
        let number = |name, default: Option<usize>| match (params.get(name)?, default) {
            // Java's int; more is no number.
            (Some(text), _) => Ok(text
                .parse::<i32>()
                .ok()
                .and_then(|n| usize::try_from(n).ok())
                .unwrap_or(0)),
            (None, Some(default)) => Ok(default),
            (None, None) => Err(Error::Missing(name)),
        };
        Ok(Self {
            number: number(Param::PageNo, default.map(|page| page.number))?,
            size: number(Param::PageSize, default.map(|page| page.size))?.min(size_max),
        })
    }

    /// The page that v2 and v3 are asked for. Nacos 3.x: both numbers must be at least 1.
    ///
    /// # Errors
    /// If a number is none or below 1, or is missing where it has no `default`.
    pub(crate) fn strict(params: &Params<'_>, default: Option<Self>, size_max: usize) -> Result<Self, Error> {
        let number = |name: Param, default: Option<usize>| match (params.get(name)?, default) {
            (Some(text), _) => {
                let number = text.parse::<i32>().ok().and_then(|n| usize::try_from(n).ok());
                let rule = "must be a whole number of at least 1";
                let invalid = || Invalid::new(name.as_str(), rule, &text);
                Ok(number.filter(|number| *number >= 1).ok_or_else(invalid)?)
            }
            (None, Some(default)) => Ok(default),
            (None, None) => Err(Error::Missing(name)),
        };
        Ok(Self {
            number: number(Param::PageNo, default.map(|page| page.number))?,
            size: number(Param::PageSize, default.map(|page| page.size))?.min(size_max),
        })
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

/// A page of the services of one group, ordered by name. Nacos: those that were declared are listed without instances,
/// too.
///
/// # Errors
/// If a parameter breaks its rule.
pub(crate) fn of_group(nacos: &Nacos, params: &Params<'_>, page: Page) -> Result<DirectoryPage, Error> {
    let namespace = namespace(params)?;
    let group = params.get(Param::Group)?.unwrap_or(Cow::Borrowed(Group::DEFAULT));
    Group::check(&group)?;
    Ok(nacos.registry.directory(DirectoryQuery {
        namespace: &namespace,
        group: Some(&group),
        group_contains: None,
        search: None,
        empty: false,
        declared: true,
        offset: page.offset(),
        limit: page.size,
    }))
}

/// A page of the services whose group and name contain what is asked for, also of those that have lost all instances:
/// who cleans up must see them. Nacos takes pieces of regular expressions; here they are texts.
///
/// # Errors
/// If a parameter breaks its rule.
pub(crate) fn search(
    nacos: &Nacos,
    params: &Params<'_>,
    page: Page,
    empty: bool,
) -> Result<DirectoryPage, Error> {
    let namespace = namespace(params)?;
    let (name, group) = (params.get(Param::NamePart)?, params.get(Param::GroupPart)?);
    Ok(nacos.registry.directory(DirectoryQuery {
        namespace: &namespace,
        group: None,
        group_contains: group.as_deref(),
        search: name.as_deref(),
        empty,
        declared: empty,
        offset: page.offset(),
        limit: page.size,
    }))
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
