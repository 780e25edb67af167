//! Version 1 of the API's types.

mod resources;
pub use resources::{
    Cap, Check, CheckRef, Contribution, EvidenceView, IncidentView, Page, ProbeView, Readiness,
    ReadinessCheck, ReadinessOutcome, ResourceDetail, ResourceSummary, ScoreCard,
};

mod inventory;
pub use inventory::{
    DiskView, FilesystemView, GpuView, InterfaceView, InventoryView, ProcessView, ProcessesView,
};

mod history;
pub use history::{EventView, History, HistoryPoint, MetricView, ReadingView, SeriesView};

mod hub;
pub use hub::{
    CostView, HealthDocument, HealthDocumentCheck, HubStatus, ScheduleView, SessionRequest,
    SessionView, StatusReport, StoreView, SystemPart, SystemScore, TaskView,
};

mod fleet;
pub use fleet::{
    BreakerCounts, BreakerView, FleetNode, FleetTotals, FleetView, ForgottenView, LevelCounts,
    NodeSpec, NodeView,
};

mod stream;
pub use stream::StreamMessage;

mod stragglers;
pub use stragglers::{StragglerDeparture, StragglerGroup, StragglerView, StragglersView};
