//! Who departs from those that do the same work.

use axum::extract::{RawQuery, State};
use axum::http::HeaderMap;
use axum::response::Response;
use sickbay_wire::problem::Problem;
use sickbay_wire::v1::StragglersView;

use super::cache::{self, Stamp};
use super::problem::ProblemResponse;
use super::query::Query;
use super::{ApiContext, accept};

/// The members of each job, compared with each other every minute: who departs, and by what.
#[utoipa::path(get, path = "/api/v1/stragglers", operation_id = "stragglers", tag = "fleet",
    responses((status = 200, description = "The groups, and who departs in them", body = StragglersView),
        (status = 304, description = "Unchanged since the ETag in `If-None-Match`"),
        (status = "4XX", description = "A mistake in the request", body = Problem,
            content_type = "application/problem+json")))]
pub(super) async fn stragglers(
    State(context): State<ApiContext>,
    headers: HeaderMap,
    RawQuery(query): RawQuery,
) -> Result<Response, ProblemResponse> {
    Query::parse(query.as_deref(), &[])?;
    accept::json(&headers)?;
    let snapshot = context.shared.fleet.snapshot();
    let stamp = Stamp { revision: snapshot.revision, tick: 0 };
    let make = || cache::to_json(&*snapshot.stragglers);
    Ok(context.shared.cache.get_or_make("/api/v1/stragglers", stamp, make)?.json(&headers))
}
