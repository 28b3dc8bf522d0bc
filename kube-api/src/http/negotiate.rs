//! In which form the client wants the answer, and in which form it sends.

use coracle_core::{Kind, Reason, Status, protobuf};
use http::HeaderMap;
use http::header::{ACCEPT, ACCEPT_ENCODING, CONTENT_TYPE};

use super::query::Query;
use crate::read::{IncludeObject, Shape};

/// What this server speaks.
const SPOKEN: &str = "application/json, application/yaml, application/vnd.kubernetes.protobuf";
/// What it speaks of custom resources.
const SPOKEN_AS_TEXT: &str = "application/json, application/yaml";
/// The patches this server takes.
const PATCHES: &str = "application/json-patch+json, application/merge-patch+json, \
    application/strategic-merge-patch+json, application/apply-patch+yaml";

/// A form of objects.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Media {
    /// `application/json`.
    #[default]
    Json,
    /// `application/yaml`.
    Yaml,
    /// `application/vnd.kubernetes.protobuf`; only built-in kinds and bare metadata have this form.
    Protobuf,
}

impl Media {
    /// The content type.
    #[must_use]
    pub const fn content_type(self) -> &'static str {
        match self {
            Self::Json => "application/json",
            Self::Yaml => "application/yaml",
            Self::Protobuf => protobuf::CONTENT_TYPE,
        }
    }
}

/// One clause of an `Accept` header.
#[derive(Debug, PartialEq)]
struct Clause<'a> {
    media: &'a str,
    parameters: Vec<(&'a str, &'a str)>,
    quality: f32,
}

impl<'a> Clause<'a> {
    fn parse(text: &'a str) -> Self {
        let mut parts = text.split(';').map(str::trim);
        let media = parts.next().unwrap_or_default();
        let parameters: Vec<_> = parts.filter_map(|part| part.split_once('=')).collect();
        let quality = parameters.iter().find(|(name, _)| *name == "q").and_then(|(_, value)| value.parse().ok());
        Self { media, parameters, quality: quality.unwrap_or(1.0) }
    }

    fn parameter(&self, name: &str) -> &'a str {
        self.parameters.iter().find(|(known, _)| *known == name).map_or("", |(_, value)| value)
    }

    fn media(&self) -> Option<Media> {
        match self.media {
            "application/json" | "application/*" | "*/*" => Some(Media::Json),
            "application/yaml" => Some(Media::Yaml),
            protobuf::CONTENT_TYPE => Some(Media::Protobuf),
            _ => None,
        }
    }

    fn shape(&self) -> Option<Shape> {
        let is_meta = self.parameter("g") == "meta.k8s.io" && self.parameter("v") == "v1";
        match self.parameter("as") {
            "" => Some(Shape::Full),
            "Table" if is_meta => Some(Shape::Table(IncludeObject::default())),
            "PartialObjectMetadata" | "PartialObjectMetadataList" if is_meta => Some(Shape::Metadata),
            _ => None,
        }
    }
}

fn clauses(headers: &HeaderMap) -> Vec<Clause<'_>> {
    let values = headers.get_all(ACCEPT).iter().filter_map(|value| value.to_str().ok());
    let mut clauses: Vec<_> = values
        .flat_map(|value| value.split(','))
        .map(str::trim)
        .filter(|it| !it.is_empty())
        .map(Clause::parse)
        .collect();
    clauses.sort_by(|left, right| right.quality.total_cmp(&left.quality));
    clauses
}

/// Whether objects of a kind have a protobuf form; custom resources do not.
#[must_use]
pub fn has_protobuf(kind: &Kind) -> bool {
    protobuf::knows(&kind.api_version(), &kind.kind)
}

/// Whether something can be sent in a form. Source: upstream's `RequestScope.AllowsMediaTypeTransform`.
fn can_be(media: Media, shape: Shape, kind: &Kind) -> bool {
    match (media, shape) {
        // What cannot be read again has no columns: reviews, bindings.
        (_, Shape::Table(_)) if !kind.verbs.contains(&"get") => false,
        (Media::Json | Media::Yaml, _) | (Media::Protobuf, Shape::Metadata) => true,
        (Media::Protobuf, Shape::Full) => has_protobuf(kind),
        (Media::Protobuf, Shape::Table(_)) => false,
    }
}

/// The form of the answer that the client likes best of those this server speaks of a kind.
///
/// # Errors
/// 406 if it likes none, 400 for a table with an unknown `includeObject`.
pub fn accept(headers: &HeaderMap, query: &Query, kind: &Kind) -> Result<(Media, Shape), Status> {
    let clauses = clauses(headers);
    if clauses.is_empty() {
        return Ok((Media::Json, Shape::Full));
    }
    let mut liked = clauses.iter().filter_map(|clause| Some((clause.media()?, clause.shape()?)));
    match liked.find(|(media, shape)| can_be(*media, *shape, kind)) {
        Some((media, Shape::Table(_))) => Ok((media, Shape::Table(include_object(query)?))),
        Some(liked) => Ok(liked),
        None => Err(not_acceptable()),
    }
}

/// 406 in upstream's words.
#[must_use]
pub fn not_acceptable() -> Status {
    Status::new(Reason::NotAcceptable, format!("only the following media types are accepted: {SPOKEN}"))
}

fn include_object(query: &Query) -> Result<IncludeObject, Status> {
    match query.text("includeObject") {
        "" | "Metadata" => Ok(IncludeObject::Metadata),
        "None" => Ok(IncludeObject::None),
        "Object" => Ok(IncludeObject::Object),
        other => Err(Status::bad_request(format!(
            "Unable to convert to Table as requested: includeObject: Invalid value: {other:?}: must be 'Metadata', \
             'Object', 'None', or empty"
        ))),
    }
}

/// Whether the client asks for aggregated discovery. Source: apiserver `endpoints/discovery/aggregated`.
#[must_use]
pub fn wants_aggregated_discovery(headers: &HeaderMap) -> bool {
    let clauses = clauses(headers);
    let first = clauses.iter().find(|clause| clause.media() == Some(Media::Json));
    clauses
        .iter()
        .find(|clause| clause.media() == Some(Media::Json) && matches!(clause.parameter("v"), "" | "v2"))
        .or(first)
        .is_some_and(|clause| {
            clause.parameter("g") == "apidiscovery.k8s.io"
                && clause.parameter("v") == "v2"
                && clause.parameter("as") == "APIGroupDiscoveryList"
        })
}

/// Whether the client takes compressed answers.
#[must_use]
pub fn accepts_gzip(headers: &HeaderMap) -> bool {
    let values = headers.get_all(ACCEPT_ENCODING).iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).any(|coding| {
        let clause = Clause::parse(coding.trim());
        clause.media == "gzip" && clause.quality > 0.0
    })
}

/// The form of refusals: protobuf if the client likes it best, else JSON.
#[must_use]
pub fn media_of_refusals(headers: &HeaderMap) -> Media {
    let best = clauses(headers).iter().find_map(Clause::media);
    best.filter(|media| *media == Media::Protobuf).unwrap_or_default()
}

/// The form in which a body is sent; JSON if the client does not say. Protobuf only if that `is_spoken`.
///
/// # Errors
/// 415 for other forms.
pub fn content(headers: &HeaderMap, is_spoken: bool) -> Result<Media, Status> {
    match content_type(headers) {
        "" | "application/json" => Ok(Media::Json),
        "application/yaml" => Ok(Media::Yaml),
        protobuf::CONTENT_TYPE if is_spoken => Ok(Media::Protobuf),
        _ => Err(unsupported(if is_spoken { SPOKEN } else { SPOKEN_AS_TEXT })),
    }
}

/// A kind of patch by its content type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PatchType {
    /// RFC 6902.
    Json,
    /// RFC 7396.
    Merge,
    /// Kubernetes' merge with directives.
    Strategic,
    /// Server-side apply.
    Apply,
}

/// The kind of patch that is sent.
///
/// # Errors
/// 415 for other content types.
pub fn patch_type(headers: &HeaderMap) -> Result<PatchType, Status> {
    match content_type(headers) {
        "application/json-patch+json" => Ok(PatchType::Json),
        "application/merge-patch+json" => Ok(PatchType::Merge),
        "application/strategic-merge-patch+json" => Ok(PatchType::Strategic),
        "application/apply-patch+yaml" => Ok(PatchType::Apply),
        _ => Err(unsupported(PATCHES)),
    }
}

fn content_type(headers: &HeaderMap) -> &str {
    let value = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    value.split(';').next().unwrap_or_default().trim()
}

fn unsupported(accepted: &str) -> Status {
    let message =
        format!("the body of the request was in an unknown format - accepted media types include: {accepted}");
    Status::new(Reason::UnsupportedMediaType, message)
}

#[cfg(test)]
mod tests {
    use coracle_core::Kinds;

    use super::*;

    fn headers(name: http::HeaderName, value: &str) -> HeaderMap {
        [(name, value.parse().unwrap())].into_iter().collect()
    }

    fn check(header: &str, expected: Result<(Media, Shape), u16>) {
        check_kind(("v1", "Pod"), header, expected);
    }

    fn check_kind((version, name): (&str, &str), header: &str, expected: Result<(Media, Shape), u16>) {
        let pod = Kinds::builtin().by_kind("v1", "Pod").unwrap().clone();
        let kind = Kind { version: version.to_owned().into(), kind: name.to_owned().into(), ..(*pod).clone() };
        let told = accept(&headers(ACCEPT, header), &Query::default(), &kind);
        assert_eq!(told.map_err(|status| status.code()), expected, "{header}");
    }

    #[test]
    fn custom_resources_have_no_protobuf_form() {
        let custom = ("v9", "Website");
        check_kind(custom, "application/vnd.kubernetes.protobuf", Err(406));
        check_kind(custom, "application/vnd.kubernetes.protobuf,application/json", Ok((Media::Json, Shape::Full)));
        check_kind(
            custom,
            "application/vnd.kubernetes.protobuf;as=PartialObjectMetadata;g=meta.k8s.io;v=v1",
            Ok((Media::Protobuf, Shape::Metadata)),
        );
        let refused = content(&headers(CONTENT_TYPE, "application/vnd.kubernetes.protobuf"), false).unwrap_err();
        assert_eq!(
            refused.message(),
            "the body of the request was in an unknown format - accepted media types include: application/json, \
             application/yaml"
        );
    }

    #[test]
    fn the_best_form_that_both_speak() {
        let table = Shape::Table(IncludeObject::Metadata);
        check("", Ok((Media::Json, Shape::Full)));
        check("*/*", Ok((Media::Json, Shape::Full)));
        check("application/json", Ok((Media::Json, Shape::Full)));
        check("application/json;stream=watch", Ok((Media::Json, Shape::Full)));
        check("application/yaml", Ok((Media::Yaml, Shape::Full)));
        check("application/vnd.kubernetes.protobuf, application/json", Ok((Media::Protobuf, Shape::Full)));
        check("application/vnd.kubernetes.protobuf;stream=watch", Ok((Media::Protobuf, Shape::Full)));
        check("application/vnd.kubernetes.protobuf;as=Table;v=v1;g=meta.k8s.io", Err(406));
        check("text/html", Err(406));
        check("application/yaml;q=0.5, application/json", Ok((Media::Json, Shape::Full)));
        check("application/json;as=Table;v=v1;g=meta.k8s.io,application/json", Ok((Media::Json, table)));
        check("application/json;as=Table;v=v9;g=meta.k8s.io,application/json", Ok((Media::Json, Shape::Full)));
        check("application/json;as=Table;v=v9;g=meta.k8s.io", Err(406));
        check("application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io", Ok((Media::Json, Shape::Metadata)));
        check(
            "application/vnd.kubernetes.protobuf;as=PartialObjectMetadata;g=meta.k8s.io;v=v1,application/json;\
             as=PartialObjectMetadata;g=meta.k8s.io;v=v1,application/json",
            Ok((Media::Protobuf, Shape::Metadata)),
        );
    }

    #[test]
    fn bodies() {
        let content = |headers: &HeaderMap| content(headers, true);
        assert_eq!(content(&HeaderMap::new()).unwrap(), Media::Json);
        assert_eq!(content(&headers(CONTENT_TYPE, "application/json; charset=utf-8")).unwrap(), Media::Json);
        assert_eq!(content(&headers(CONTENT_TYPE, "application/yaml")).unwrap(), Media::Yaml);
        assert_eq!(content(&headers(CONTENT_TYPE, "application/vnd.kubernetes.protobuf")).unwrap(), Media::Protobuf);
        let refused = content(&headers(CONTENT_TYPE, "application/cbor")).unwrap_err();
        assert_eq!(refused.code(), 415);
        assert_eq!(
            refused.message(),
            "the body of the request was in an unknown format - accepted media types include: application/json, \
             application/yaml, application/vnd.kubernetes.protobuf"
        );
        assert_eq!(patch_type(&headers(CONTENT_TYPE, "application/apply-patch+yaml")).unwrap(), PatchType::Apply);
        assert_eq!(patch_type(&headers(CONTENT_TYPE, "application/json")).unwrap_err().code(), 415);
    }

    #[test]
    fn discovery_and_compression() {
        let kubectl = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,application/json;\
                       g=apidiscovery.k8s.io;v=v2beta1;as=APIGroupDiscoveryList,application/json";
        assert!(wants_aggregated_discovery(&headers(ACCEPT, kubectl)));
        assert!(!wants_aggregated_discovery(&headers(ACCEPT, "application/json")));
        assert!(!wants_aggregated_discovery(&HeaderMap::new()));
        assert!(accepts_gzip(&headers(ACCEPT_ENCODING, "gzip, deflate")));
        assert!(!accepts_gzip(&headers(ACCEPT_ENCODING, "gzip;q=0, br")));
    }
}
