//! Looking at an instance that consumers cannot reach.
//!
//! The registry marks it, and has somebody look: the prober, for whom this is the seam. What he finds is told with
//! [`Registry::rechecked`](crate::Registry::rechecked); it is shown beside the reports and takes none of them back, since
//! the registry may well reach what a consumer cannot.

use beatrix_core::catalog::RecheckOrder;

/// Who looks.
pub trait Recheck: std::fmt::Debug + Send + Sync + 'static {
    /// Has an instance looked at. Called on the owner's thread: it must not wait for what comes of it. One that lives by
    /// probes is probed out of turn; of any other it is enough that its address takes a connection.
    fn order(&self, order: RecheckOrder);
}
