//! The only place that turns a refusal into HTTP: status, headers and an RFC 9457 `application/problem+json` body
//! with the stable code, what to do next, and the ids of the request. It never repeats what the caller sent.

use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use domain::refusal::{Code, FieldDetail, Refusal};
use domain::scim::ScimType;
use engine::{Answer, RequestIds};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The status of each code.
pub const fn status(code: Code) -> StatusCode {
    match code {
        Code::Unauthorized => StatusCode::UNAUTHORIZED,
        Code::TenantRequired
        | Code::TenantMismatch
        | Code::McpNotEnabled
        | Code::Forbidden
        | Code::SubscriptionRequired => StatusCode::FORBIDDEN,
        Code::NotFound => StatusCode::NOT_FOUND,
        Code::ValidationFailed
        | Code::MissingParent
        | Code::MissingTitle
        | Code::UnclearOwnership
        | Code::ReferenceMismatch
        | Code::EvidenceUnreadable => StatusCode::UNPROCESSABLE_ENTITY,
        Code::ApprovalNotGranted
        | Code::ApprovalExpired
        | Code::ApprovalAlreadyUsed
        | Code::PayloadMismatch
        | Code::IdempotencyConflict
        | Code::InProgress
        | Code::VersionConflict
        | Code::StalePreview
        | Code::StaleReference
        | Code::AlreadyRemediated => StatusCode::CONFLICT,
        Code::RateLimited => StatusCode::TOO_MANY_REQUESTS,
        Code::ProviderUnavailable => StatusCode::SERVICE_UNAVAILABLE,
        Code::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
        Code::Internal => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

/// The body, as it is written and as the API description shows it.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Body<'a> {
    /// Always `about:blank`: the code tells problems apart.
    r#type: &'static str,
    title: &'a str,
    status: u16,
    /// What was wrong.
    detail: &'a str,
    /// Stable code, the same on every surface.
    #[schemars(with = "String")]
    code: Code,
    /// What to do next.
    remedy: &'a str,
    /// Whether the same request may succeed later without being changed.
    retryable: bool,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    details: &'a [FieldDetail],
    request_id: &'a str,
    trace_id: &'a str,
}

/// A refusal on its way out. Boxed, because it is the rare half of many results.
#[derive(Debug)]
pub struct Problem(Box<Outgoing>);

#[derive(Debug)]
struct Outgoing {
    refusal: Refusal,
    status: StatusCode,
    ids: RequestIds,
    headers: Vec<(HeaderName, HeaderValue)>,
}

impl Problem {
    pub fn new(refusal: Refusal, ids: &RequestIds) -> Problem {
        let status = status(refusal.code);
        Problem(Box::new(Outgoing { refusal, status, ids: ids.clone(), headers: Vec::new() }))
    }

    /// For the few answers whose status says more than their code: 400, 405, 408, 415.
    pub fn status(mut self, status: StatusCode) -> Problem {
        self.0.status = status;
        self
    }

    pub fn header(mut self, name: HeaderName, value: HeaderValue) -> Problem {
        self.0.headers.push((name, value));
        self
    }

    /// Says to which part of the request the refusal belongs.
    pub fn at(mut self, field: String, message: &str) -> Problem {
        self.0.refusal.details.push(FieldDetail { field, message: message.to_owned() });
        self
    }

    /// An error answer of the engine, as a problem.
    pub fn of_answer(answer: &Answer, ids: &RequestIds) -> Problem {
        #[derive(Deserialize)]
        struct Outer {
            error: Refusal,
        }
        let refusal =
            serde_json::from_str::<Outer>(&answer.json).map_or_else(|_| Refusal::internal(), |o| o.error);
        Problem::new(refusal, ids)
    }

    pub fn code(&self) -> Code {
        self.0.refusal.code
    }

    /// Whether the status is the usual one of the code.
    pub fn is_usual(&self) -> bool {
        self.0.status == status(self.0.refusal.code)
    }

    /// The problem as RFC 7644, section 3.12, writes it, for directories.
    pub fn over_scim(self, kind: Option<ScimType>) -> Response {
        let mut detail = self.0.refusal.message.clone();
        for wrong in &self.0.refusal.details {
            detail.push_str(&format!("; {} {}", wrong.field, wrong.message));
        }
        let mut body = serde_json::json!({
            "schemas": ["urn:ietf:params:scim:api:messages:2.0:Error"],
            "status": self.0.status.as_u16().to_string(),
            "detail": format!("{detail}. {}", self.0.refusal.remedy),
        });
        if let (Some(kind), Some(members)) = (kind, body.as_object_mut()) {
            members.insert("scimType".into(), kind.as_str().into());
        }
        let bytes = serde_json::to_vec(&body).unwrap_or_default();
        self.written(bytes, "application/scim+json")
    }

    fn written(self, bytes: Vec<u8>, media: &'static str) -> Response {
        let Outgoing { refusal, status, headers: more, .. } = *self.0;
        let mut response = (status, bytes).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(media));
        if let Some(seconds) = refusal.retry_after_seconds {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        for (name, value) in more {
            headers.append(name, value);
        }
        response.extensions_mut().insert(refusal.code);
        response
    }

    pub fn internal(ids: &RequestIds) -> Problem {
        Problem::new(Refusal::internal(), ids)
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let Outgoing { refusal, status, ids, .. } = &*self.0;
        let body = Body {
            r#type: "about:blank",
            title: status.canonical_reason().unwrap_or("Error"),
            status: status.as_u16(),
            detail: &refusal.message,
            code: refusal.code,
            remedy: &refusal.remedy,
            retryable: refusal.code.retryable(),
            details: &refusal.details,
            request_id: &ids.request_id,
            trace_id: &ids.trace_id,
        };
        let bytes = serde_json::to_vec(&body).unwrap_or_default();
        self.written(bytes, "application/problem+json")
    }
}

/// The body was larger than its limit.
pub fn too_large(bytes_max: usize) -> Refusal {
    Refusal::new(
        Code::TooLarge,
        format!("the body is larger than {bytes_max} bytes"),
        "Send less in one request: fewer arguments, or fewer and smaller files.",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_has_an_error_status() {
        for code in Code::ALL {
            assert!(status(*code).is_client_error() || status(*code).is_server_error(), "{code}");
        }
    }

    #[test]
    fn an_error_answer_keeps_its_code_and_details() {
        let ids = RequestIds { request_id: "req_1".into(), trace_id: "t".into() };
        let answer = Answer {
            json: r#"{"error":{"code":"missing_title","message":"m","remedy":"r","retryable":false,
                "details":[{"field":"title","message":"is required"}],"requestId":"x","traceId":"y"}}"#
                .into(),
            text: String::new(),
            is_error: true,
            waits: None,
        };
        let problem = Problem::of_answer(&answer, &ids);
        assert_eq!(
            (problem.0.status, problem.0.refusal.details.len()),
            (StatusCode::UNPROCESSABLE_ENTITY, 1)
        );
    }
}
