//! Every refusal as the API words it: a `Status` with code, reason and causes.

use std::fmt;

use k8s_openapi::apimachinery::pkg::apis::meta::v1 as meta;

use crate::kind::GroupResource;

/// A refusal. The answer to a request that was not carried out, exactly as a client reads it.
#[derive(Clone, Debug, PartialEq)]
pub struct Status(Box<meta::Status>);

/// Why a request was refused. Source: apimachinery `metav1.StatusReason`; each has its HTTP code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names are upstream's")]
pub enum Reason {
    BadRequest,
    Unauthorized,
    Forbidden,
    NotFound,
    MethodNotAllowed,
    NotAcceptable,
    AlreadyExists,
    Conflict,
    Gone,
    Expired,
    RequestEntityTooLarge,
    UnsupportedMediaType,
    Invalid,
    TooManyRequests,
    InternalError,
    ServiceUnavailable,
    Timeout,
    ServerTimeout,
}

impl Reason {
    /// The HTTP code.
    #[must_use]
    pub const fn code(self) -> u16 {
        match self {
            Self::BadRequest => 400,
            Self::Unauthorized => 401,
            Self::Forbidden => 403,
            Self::NotFound => 404,
            Self::MethodNotAllowed => 405,
            Self::NotAcceptable => 406,
            Self::AlreadyExists | Self::Conflict => 409,
            Self::Gone | Self::Expired => 410,
            Self::RequestEntityTooLarge => 413,
            Self::UnsupportedMediaType => 415,
            Self::Invalid => 422,
            Self::TooManyRequests => 429,
            Self::InternalError => 500,
            Self::ServiceUnavailable => 503,
            Self::Timeout | Self::ServerTimeout => 504,
        }
    }

    /// The word in `status.reason`, which is the variant's name.
    #[must_use]
    pub fn word(self) -> String {
        format!("{self:?}")
    }
}

impl Status {
    /// A refusal with a reason and a message.
    pub fn new(reason: Reason, message: impl Into<String>) -> Self {
        Self(Box::new(meta::Status {
            code: Some(i32::from(reason.code())),
            message: Some(message.into()),
            reason: Some(reason.word()),
            status: Some("Failure".to_owned()),
            ..meta::Status::default()
        }))
    }

    /// 400: the request itself makes no sense.
    pub fn bad_request(message: impl Into<String>) -> Self {
        Self::new(Reason::BadRequest, message)
    }

    /// 500: our fault, or the store's.
    pub fn internal(message: impl fmt::Display) -> Self {
        let message = message.to_string();
        let mut status = Self::new(Reason::InternalError, format!("Internal error occurred: {message}"));
        let cause = meta::StatusCause { message: Some(message), ..meta::StatusCause::default() };
        status.details_mut().causes = Some(vec![cause]);
        status
    }

    /// 404: no such object.
    #[must_use]
    pub fn not_found(resource: &GroupResource, name: &str) -> Self {
        Self::new(Reason::NotFound, format!("{resource} \"{name}\" not found")).about(resource, name)
    }

    /// 404: no such path.
    #[must_use]
    pub fn no_such_path() -> Self {
        let mut status = Self::new(Reason::NotFound, "the server could not find the requested resource");
        status.0.details = Some(meta::StatusDetails::default());
        status
    }

    /// 409: the name is taken.
    #[must_use]
    pub fn already_exists(resource: &GroupResource, name: &str) -> Self {
        Self::new(Reason::AlreadyExists, format!("{resource} \"{name}\" already exists")).about(resource, name)
    }

    /// 409: another writer came first.
    #[must_use]
    pub fn conflict(resource: &GroupResource, name: &str, why: impl fmt::Display) -> Self {
        let message = format!("Operation cannot be fulfilled on {resource} \"{name}\": {why}");
        Self::new(Reason::Conflict, message).about(resource, name)
    }

    /// 409 in the words of a stale `resourceVersion`.
    #[must_use]
    pub fn stale(resource: &GroupResource, name: &str) -> Self {
        Self::conflict(
            resource,
            name,
            "the object has been modified; please apply your changes to the latest version and try again",
        )
    }

    /// 403: not allowed, and why.
    #[must_use]
    pub fn forbidden(resource: &GroupResource, name: &str, why: impl fmt::Display) -> Self {
        let message = match (resource.resource.is_empty(), name.is_empty()) {
            (true, _) => format!("forbidden: {why}"),
            (false, true) => format!("{resource} is forbidden: {why}"),
            (false, false) => format!("{resource} \"{name}\" is forbidden: {why}"),
        };
        Self::new(Reason::Forbidden, message).about(resource, name)
    }

    /// 422: an object of a `(group, kind)` breaks its rules; one cause per field.
    #[must_use]
    pub fn invalid((group, kind): (&str, &str), name: &str, causes: Vec<meta::StatusCause>) -> Self {
        let text = |cause: &meta::StatusCause| {
            let field = cause.field.as_deref().unwrap_or("");
            format!("{field}: {}", cause.message.as_deref().unwrap_or(""))
        };
        let why = match causes.as_slice() {
            [] => String::new(),
            [only] => text(only),
            many => format!("[{}]", many.iter().map(text).collect::<Vec<_>>().join(", ")),
        };
        let group_kind = GroupResource::new(group.to_owned(), kind.to_owned());
        let mut status = Self::new(Reason::Invalid, format!("{group_kind} \"{name}\" is invalid: {why}"));
        let details = status.details_mut();
        details.group = non_empty(group);
        details.kind = non_empty(kind);
        details.name = non_empty(name);
        details.causes = Some(causes);
        status
    }

    /// 410: history that old is gone.
    pub fn expired(message: impl Into<String>) -> Self {
        Self::new(Reason::Expired, message)
    }

    /// 405: the path exists, the verb does not.
    #[must_use]
    pub fn method_not_allowed() -> Self {
        let mut status =
            Self::new(Reason::MethodNotAllowed, "the server does not allow this method on the requested resource");
        status.0.details = Some(meta::StatusDetails::default());
        status
    }

    /// The same refusal with the object it is about.
    #[must_use]
    pub fn about(mut self, resource: &GroupResource, name: &str) -> Self {
        let details = self.details_mut();
        details.group = non_empty(&resource.group);
        details.kind = non_empty(&resource.resource);
        details.name = non_empty(name);
        self
    }

    /// The same refusal with causes.
    #[must_use]
    pub fn with_causes(mut self, causes: Vec<meta::StatusCause>) -> Self {
        self.details_mut().causes = Some(causes);
        self
    }

    /// The same refusal with the time after which to try again.
    #[must_use]
    pub fn retry_after(mut self, seconds: i32) -> Self {
        self.details_mut().retry_after_seconds = Some(seconds);
        self
    }

    /// The HTTP code; 500 if there is none.
    #[must_use]
    pub fn code(&self) -> u16 {
        self.0.code.and_then(|code| u16::try_from(code).ok()).unwrap_or(500)
    }

    /// The reason word, such as `NotFound`.
    #[must_use]
    pub fn reason(&self) -> &str {
        self.0.reason.as_deref().unwrap_or("")
    }

    /// The message for people.
    #[must_use]
    pub fn message(&self) -> &str {
        self.0.message.as_deref().unwrap_or("")
    }

    /// Whether the object or path does not exist.
    #[must_use]
    pub fn is_not_found(&self) -> bool {
        self.reason() == "NotFound"
    }

    /// Whether another writer came first: read again, decide again.
    #[must_use]
    pub fn is_conflict(&self) -> bool {
        self.reason() == "Conflict"
    }

    /// Whether the name was taken.
    #[must_use]
    pub fn is_already_exists(&self) -> bool {
        self.reason() == "AlreadyExists"
    }

    /// The API type, for encoding.
    #[must_use]
    pub fn as_api(&self) -> &meta::Status {
        &self.0
    }

    fn details_mut(&mut self) -> &mut meta::StatusDetails {
        self.0.details.get_or_insert_default()
    }
}

fn non_empty(text: &str) -> Option<String> {
    (!text.is_empty()).then(|| text.to_owned())
}

impl fmt::Display for Status {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} ({} {})", self.message(), self.code(), self.reason())
    }
}

impl std::error::Error for Status {}

impl From<meta::Status> for Status {
    fn from(status: meta::Status) -> Self {
        Self(Box::new(status))
    }
}
