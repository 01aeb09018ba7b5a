//! The types of Beatrix's native API as they travel, shared by the server's native door and by the SDK, so that
//! the two cannot drift.
//!
//! Nothing here checks a rule: the server parses these into its validated types, the SDK into its own. Times are
//! milliseconds and end in `_ms`; wall-clock times are milliseconds since the Unix epoch. Fields that are absent
//! mean their default, and unknown fields in answers are ignored, so that a newer server can say more.
//!
//! - [`instance`]: registration, the instance as it is shown, operator patches.
//! - [`beat`]: the batch that carries the leases of a process.
//! - [`service`]: one service, lists of services, deltas.
//! - [`watch`]: the events of the SSE stream and their acknowledgement.
//! - [`history`]: membership changes and registry status.
//! - [`backup`]: the lines of a backup.
//! - [`problem`]: errors as RFC 9457 describes them.

pub mod backup;
pub mod beat;
pub mod history;
pub mod instance;
pub mod problem;
pub mod service;
pub mod watch;

pub use backup::{
    BACKUP_FORMAT, BACKUP_VERSION, BackupChecker, BackupCluster, BackupDeclared, BackupEnd, BackupHeader,
    BackupInstance, BackupLayer, BackupLine, BackupLiveness, BackupNamespace, BackupRemoval, BackupService,
    BackupServiceSettings, BackupSetting, ImportRefusal, ImportReport,
};
pub use beat::{BeatRequest, BeatResponse, DeclaredStatus, StatusReport};
pub use history::{
    ChangeKind, ChangedBy, EventsPage, FieldDifference, GuardEnded, GuardStatus, InstanceDifference,
    LimitUse, MembershipEvent, RegistryStatus, ServiceDifference,
};
pub use instance::{
    DrainRequest, DrainResponse, Health, Instance, ListedLayer, Liveness, OperatorLayer, OperatorLayers,
    OperatorPatch, RegisterRequest, RegisterResponse, WriteResponse,
};
pub use problem::Problem;
pub use service::{Removal, ServiceDelta, ServiceList, ServiceSummary, ServiceView};
pub use watch::{Ack, DELTA, HELLO, Hello, PING, SNAPSHOT};
