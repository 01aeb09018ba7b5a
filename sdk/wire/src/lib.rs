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
//! - [`probe`]: what is asked of an instance that does not beat, and what came of it.
//! - [`report`]: what consumers say about instances that they cannot reach.
//! - [`storage`]: where the registry keeps what happens.
//! - [`explain`]: why an instance is as it is.
//! - [`backup`]: the lines of a backup.
//! - [`problem`]: errors as RFC 9457 describes them.

pub mod backup;
pub mod beat;
pub mod explain;
pub mod history;
pub mod instance;
pub mod probe;
pub mod problem;
pub mod report;
pub mod service;
pub mod storage;
pub mod watch;

pub use backup::{
    BACKUP_FORMAT, BACKUP_VERSION, BackupChecker, BackupCluster, BackupDeclared, BackupEnd, BackupHeader,
    BackupInstance, BackupLayer, BackupLine, BackupLiveness, BackupNamespace, BackupRemoval, BackupService,
    BackupServiceSettings, BackupSetting, ImportRefusal, ImportReport,
};
pub use beat::{BeatRequest, BeatResponse, DeclaredStatus, StatusReport};
pub use explain::{
    BeatsExplained, Coded, Explanation, FlapExplained, GuardExplained, GuardsExplained, LateBeat,
    LookExplained, Next, ProbesExplained, ReportsExplained,
};
pub use history::{
    ChangeKind, ChangedBy, EventsPage, FieldDifference, GuardChange, GuardEnded, GuardEvent, GuardScope,
    GuardStatus, InstanceDifference, LimitUse, MembershipEvent, RegistryStatus, ServiceDifference,
    StallStatus,
};
pub use instance::{
    DrainRequest, DrainResponse, Health, InFlight, Instance, ListedLayer, Liveness, OperatorLayer,
    OperatorLayers, OperatorPatch, RegisterRequest, RegisterResponse, WriteResponse,
};
pub use probe::{
    AskedProbe, Hidden, ProbeOrdered, ProbeQuestion, ProbeReport, ProbeResult, ProbeStatus, ProbeTls,
};
pub use problem::Problem;
pub use report::{FailureReport, ReportRequest, ReportResponse, ReportStatus};
pub use service::{
    Curve, Removal, ServiceDelta, ServiceList, ServicePatch, ServiceSummary, ServiceView, SlowStart,
};
pub use storage::{StorageStatus, StorageTrouble};
pub use watch::{Ack, DELTA, HELLO, Hello, PING, SNAPSHOT};
