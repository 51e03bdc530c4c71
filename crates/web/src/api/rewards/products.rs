//! Products: list, create, read, change, delete.

use super::asked::{Address, Known, Query, number_in_path};
use super::caller::with_rewards_key;
use super::campaigns::{document, refused};
use super::page::{PER_PAGE, Page};
use crate::asked::Path;
use crate::body::{REFERRAL_BYTES_MAX, read as read_body};
use crate::idempotency::{Attempted, given};
use crate::state::WebState;
use axum::Json;
use axum::body::Body;
use axum::extract::{Extension, State};
use axum::response::{IntoResponse as _, Response};
use headwater_app::reward::{ProductRow, REWARDS_MAX};
use headwater_domain::time::Instant;
use http::{HeaderMap, StatusCode};
use serde_json::{Value, json};

/// List products
#[utoipa::path(get, path = "/api/v2/company/products", operation_id = "rewards_product_list", tag = "Rewards",
    security(("rewards_key" = [])),
    params(("q" = Option<String>, Query, description = "In name and ext_id")),
    responses((status = 200, description = "A page of products, newest first", body = Value)))]
pub async fn list(State(state): State<WebState>, headers: HeaderMap, address: Address) -> Response {
    with_rewards_key!(state, headers, |caller| {
        let query = Query::parse(&address.query, &Known::NOTHING)?;
        let page = Page::parse(&query, PER_PAGE)?;
        if let Some(part) = query.search() {
            let (all, _) = state.app.product_list(caller.account, REWARDS_MAX, 0).await?;
            let all: Vec<_> = all.iter().map(to_wire).collect();
            let has = |name: &Value| name.as_str().is_some_and(|name| name.to_lowercase().contains(&part));
            let found: Vec<_> = all.into_iter().filter(|of| has(&of["name"]) || has(&of["ext_id"])).collect();
            return Ok(page.answer_all(&address, &found, Value::clone));
        }
        let (rows, total) = state.app.product_list(caller.account, page.per_page, page.offset()).await?;
        Ok(page.answer(&address, rows.iter().map(to_wire).collect(), total))
    })
}

/// Create a product
#[utoipa::path(post, path = "/api/v2/company/products", operation_id = "rewards_product_create", tag = "Rewards",
    security(("rewards_key" = [])), request_body = Value, responses((status = 201, description = "The product", body = Value)))]
pub async fn create(State(state): State<WebState>, attempted: Attempted, headers: HeaderMap, body: Body) -> Response {
    with_rewards_key!(state, headers, |caller| {
        let asked = document(&read_body(&headers, body, REFERRAL_BYTES_MAX).await?)?;
        let render = |made: &ProductRow| given(StatusCode::CREATED, &to_wire(made));
        let keep = state.app.keep(attempted.map(|Extension(attempt)| attempt), render);
        let row = state.app.product_create(caller.account, asked, keep).await.map_err(refused)?;
        Ok((StatusCode::CREATED, Json(to_wire(&row))).into_response())
    })
}

/// Read a product
#[utoipa::path(get, path = "/api/v2/company/products/{id}", operation_id = "rewards_product_read", tag = "Rewards",
    security(("rewards_key" = [])), params(("id" = String, Path, description = "Its number")),
    responses((status = 200, description = "The product", body = Value)))]
pub async fn read(State(state): State<WebState>, headers: HeaderMap, Path(id): Path<String>) -> Response {
    with_rewards_key!(state, headers, |caller| {
        let row = state.app.product_read(caller.account, number_in_path(&id, "product")?).await?;
        Ok(Json(to_wire(&row)).into_response())
    })
}

/// Change a product
///
/// Also which sales the campaigns that list it reward, from now on.
#[utoipa::path(put, path = "/api/v2/company/products/{id}", operation_id = "rewards_product_update", tag = "Rewards",
    security(("rewards_key" = [])), params(("id" = String, Path, description = "Its number")), request_body = Value,
    responses((status = 200, description = "The product as it is now", body = Value)))]
pub async fn update(State(state): State<WebState>, headers: HeaderMap, Path(id): Path<String>, body: Body) -> Response {
    with_rewards_key!(state, headers, |caller| {
        let id = number_in_path(&id, "product")?;
        let asked = document(&read_body(&headers, body, REFERRAL_BYTES_MAX).await?)?;
        let row = state.app.product_patch(caller.account, id, asked).await.map_err(refused)?;
        Ok(Json(to_wire(&row)).into_response())
    })
}

/// Delete a product
///
/// One that no campaign lists.
#[utoipa::path(delete, path = "/api/v2/company/products/{id}", operation_id = "rewards_product_delete", tag = "Rewards",
    security(("rewards_key" = [])), params(("id" = String, Path, description = "Its number")),
    responses((status = 200, description = "The product as it was", body = Value)))]
pub async fn delete(State(state): State<WebState>, headers: HeaderMap, Path(id): Path<String>) -> Response {
    with_rewards_key!(state, headers, |caller| {
        let row = state.app.product_delete(caller.account, number_in_path(&id, "product")?).await?;
        Ok(Json(to_wire(&row)).into_response())
    })
}

fn to_wire(row: &ProductRow) -> Value {
    let mut object: Value = serde_json::from_str(&row.document).unwrap_or_else(|_| json!({}));
    object["id"] = row.id.into();
    object["created_at"] = Instant(row.created_at).iso8601().into();
    object
}
