//! Connections of Nacos over gRPC.

use beatrix_nacos::grpc::Counts;

use super::page::Page;

pub(super) fn write(page: &mut Page, counts: &Counts) {
    page.gauge(
        "beatrix_nacos_grpc_connections",
        "Connections over gRPC that are open",
        counts.connections,
    );
    page.counter(
        "beatrix_nacos_grpc_connections_opened_total",
        "Connections over gRPC that were opened",
        counts.opened,
    );
    page.counter(
        "beatrix_nacos_grpc_connections_refused_total",
        "Connections over gRPC that were one too many",
        counts.refused,
    );
    page.counter(
        "beatrix_nacos_grpc_connections_dropped_total",
        "Connections over gRPC whose clients were silent, did not read, or said nothing in time",
        counts.dropped,
    );
    page.counter(
        "beatrix_nacos_grpc_requests_total",
        "Requests over gRPC",
        counts.requests,
    );
    page.counter(
        "beatrix_nacos_grpc_requests_failed_total",
        "Requests over gRPC that were answered with a failure",
        counts.failed,
    );
    page.counter(
        "beatrix_nacos_grpc_pushes_total",
        "Lists that were pushed over gRPC",
        counts.pushed,
    );
    page.counter(
        "beatrix_nacos_grpc_pushes_again_total",
        "Those of them that were pushed again, since they were not acknowledged",
        counts.pushed_again,
    );
    page.counter(
        "beatrix_nacos_grpc_pushes_acknowledged_total",
        "Pushes over gRPC that were acknowledged",
        counts.acknowledged,
    );
}
