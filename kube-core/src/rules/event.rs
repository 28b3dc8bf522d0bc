//! Event, of the core and of events.k8s.io. Updates of the newer kind fix everything but its series.

use super::Ruled;
use super::check::text;
use crate::field::{Errors, Path, format};
use k8s_openapi::api::core::v1::Event;
use k8s_openapi::api::events::v1::Event as NewEvent;

const BYTES_MAX: usize = 128;
const MESSAGE_BYTES_MAX: usize = 1024;

/// What both kinds have, under the older kind's names.
struct Common<'a> {
    timed: bool,
    namespace: &'a str,
    object_namespace: &'a str,
    reporter_field: &'a str,
    reporter: &'a str,
    instance: &'a str,
    action: &'a str,
    reason: &'a str,
    message: &'a str,
}

impl Ruled for Event {
    fn validate(&self, errors: &mut Errors) {
        let common = Common {
            timed: self.event_time.is_some(),
            namespace: text(&self.metadata.namespace),
            object_namespace: text(&self.involved_object.namespace),
            reporter_field: "reportingComponent",
            reporter: text(&self.reporting_component),
            instance: text(&self.reporting_instance),
            action: text(&self.action),
            reason: text(&self.reason),
            message: text(&self.message),
        };
        validate_common(&common, errors);
    }
}

impl Ruled for NewEvent {
    fn validate(&self, errors: &mut Errors) {
        validate_common(&common_of_new(self), errors);
        validate_series(self, errors);
        if self.event_time.is_none() {
            errors.required(&Path::new("eventTime"), "");
        }
        let kind = text(&self.type_);
        if !matches!(kind, "Normal" | "Warning") {
            errors.invalid(&Path::new("type"), "", std::format!("has invalid value: {kind}"));
        }
        let source = self.deprecated_source.as_ref();
        for (field, set) in [
            ("firstTimestamp", self.deprecated_first_timestamp.is_some()),
            ("lastTimestamp", self.deprecated_last_timestamp.is_some()),
            ("count", self.deprecated_count.unwrap_or(0) != 0),
            ("source", source.is_some_and(|it| !text(&it.component).is_empty() || !text(&it.host).is_empty())),
        ] {
            if set {
                errors.invalid(&Path::new(field), "", "needs to be unset");
            }
        }
    }

    fn validate_update(&self, old: &Self, errors: &mut Errors) {
        validate_common(&common_of_new(self), errors);
        if self.series != old.series {
            validate_series(self, errors);
        }
        errors.immutable(&Path::new("involvedObject"), &self.regarding, &old.regarding);
        errors.immutable(&Path::new("reason"), &self.reason, &old.reason);
        errors.immutable(&Path::new("message"), &self.note, &old.note);
        errors.immutable(&Path::new("source"), &self.deprecated_source, &old.deprecated_source);
        let (first, last) = (&self.deprecated_first_timestamp, &self.deprecated_last_timestamp);
        errors.immutable(&Path::new("firstTimestamp"), first, &old.deprecated_first_timestamp);
        errors.immutable(&Path::new("lastTimestamp"), last, &old.deprecated_last_timestamp);
        errors.immutable(&Path::new("count"), &self.deprecated_count, &old.deprecated_count);
        errors.immutable(&Path::new("type"), &self.type_, &old.type_);
        errors.immutable(&Path::new("eventTime"), &self.event_time, &old.event_time);
        errors.immutable(&Path::new("action"), &self.action, &old.action);
        errors.immutable(&Path::new("related"), &self.related, &old.related);
        errors.immutable(&Path::new("reportingController"), &self.reporting_controller, &old.reporting_controller);
        errors.immutable(&Path::new("reportingInstance"), &self.reporting_instance, &old.reporting_instance);
    }
}

fn validate_series(event: &NewEvent, errors: &mut Errors) {
    if event.series.as_ref().is_some_and(|series| series.count < 2) {
        errors.invalid(&Path::new("series.count"), "", "should be at least 2");
    }
}

fn common_of_new(event: &NewEvent) -> Common<'_> {
    Common {
        timed: event.event_time.is_some(),
        namespace: text(&event.metadata.namespace),
        object_namespace: event.regarding.as_ref().map_or("", |object| text(&object.namespace)),
        reporter_field: "reportingController",
        reporter: text(&event.reporting_controller),
        instance: text(&event.reporting_instance),
        action: text(&event.action),
        reason: text(&event.reason),
        message: text(&event.note),
    }
}

fn validate_common(event: &Common, errors: &mut Errors) {
    let homeless = event.object_namespace.is_empty();
    let at_home = match (event.timed, homeless) {
        (false, false) => event.namespace == event.object_namespace,
        (false, true) => matches!(event.namespace, "" | "default"),
        (true, true) => matches!(event.namespace, "default" | "kube-system"),
        (true, false) => true,
    };
    if !at_home {
        let path = Path::new("involvedObject.namespace");
        errors.invalid(&path, event.object_namespace, "does not match event.namespace");
    }
    if event.timed {
        validate_timed(event, errors);
    }
    errors.invalid_each(&Path::new("namespace"), event.namespace, format::dns1123_subdomain(event.namespace));
}

/// An event with a time of its own was made by a newer reporter, which must say who it is.
fn validate_timed(event: &Common, errors: &mut Errors) {
    errors.given(&Path::new(event.reporter_field), event.reporter);
    errors.qualified_name(&Path::new(event.reporter_field), event.reporter);
    for (field, value) in [("reportingInstance", event.instance), ("action", event.action), ("reason", event.reason)] {
        errors.given(&Path::new(field), value);
        if value.len() > BYTES_MAX {
            errors.invalid(&Path::new(field), "", std::format!("can have at most {BYTES_MAX} characters"));
        }
    }
    if event.message.len() > MESSAGE_BYTES_MAX {
        errors.invalid(&Path::new("message"), "", std::format!("can have at most {MESSAGE_BYTES_MAX} characters"));
    }
}
