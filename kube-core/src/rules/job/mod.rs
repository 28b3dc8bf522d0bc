//! Job. Of its status only the counts are checked.
//!
//! The selector is generated from the Job's uid, so a create must have given it one before `prepare_create`.

mod policies;

use super::check::{items, text};
use super::{Ruled, fill, pod_template, same};
use crate::field::{Errors, Json, Path, format};
use crate::selector::{Labels, label_selector_matches};
use k8s_openapi::api::batch::v1::{Job, JobSpec, JobStatus};
use k8s_openapi::api::core::v1::{Affinity, PodTemplateSpec};

const CONTROLLER_UID: &str = "batch.kubernetes.io/controller-uid";
/// The labels that tie pods to their Job: a Kubernetes name and an older one for each of uid and name.
const UID_LABELS: [&str; 2] = ["controller-uid", CONTROLLER_UID];
const NAME_LABELS: [&str; 2] = ["job-name", "batch.kubernetes.io/job-name"];

const INDEXED: &str = "Indexed";
const PARALLELISM_MAX: i32 = 100_000;
const FAILED_INDEXES_MAX: i32 = 100_000;
/// Above this many completions, tighter limits hold for Jobs with a back-off limit per index.
const MANY_COMPLETIONS: i32 = 100_000;
const PARALLELISM_MAX_IF_MANY: i32 = 10_000;
const FAILED_INDEXES_MAX_IF_MANY: i32 = 10_000;
const MANAGED_BY_BYTES_MAX: usize = 63;

impl Ruled for Job {
    const HAS_GENERATION: bool = true;

    fn fill_defaults(&mut self) {
        let spec = self.spec.get_or_insert_default();
        fill_spec(spec);
        if super::check::is_empty(&self.metadata.labels)
            && let Some(labels) = pod_template::labels(&spec.template)
        {
            self.metadata.labels = Some(labels.clone());
        }
    }

    fn validate(&self, errors: &mut Errors) {
        let path = Path::new("spec");
        let Some(spec) = &self.spec else { return errors.required(&path, "") };
        validate_generated_selector(self, spec, errors);
        validate_with_selector(spec, &path, errors);
        validate_index_fits_name(self, spec, errors);
    }

    fn validate_update(&self, old: &Self, errors: &mut Errors) {
        let (Some(new_spec), Some(old_spec)) = (&self.spec, &old.spec) else { return };
        let path = Path::new("spec");
        validate_with_selector(new_spec, &path, errors);
        validate_spec_update(new_spec, old_spec, may_be_directed(old), &path, errors);
    }

    fn validate_status_update(&self, _old: &Self, errors: &mut Errors) {
        let Some(status) = &self.status else { return };
        let path = Path::new("status");
        for (field, count) in [
            ("active", status.active),
            ("succeeded", status.succeeded),
            ("failed", status.failed),
            ("ready", status.ready),
            ("terminating", status.terminating),
        ] {
            errors.non_negative(&path.field(field), count);
        }
    }

    fn prepare_create(&mut self) {
        self.status = Some(Default::default());
        if self.spec.as_ref().is_some_and(|spec| spec.manual_selector != Some(true)) {
            generate_selector(self);
            // Upstream's reads fill in defaults anew, so the labels that the template got show on the Job.
            self.fill_defaults();
        }
    }

    fn prepare_update(&mut self, old: &Self) {
        self.status = old.status.clone();
    }

    fn prepare_status_update(&mut self, old: &Self) {
        self.spec = old.spec.clone();
    }

    fn spec_changed(&self, old: &Self) -> bool {
        !same(&self.spec, &old.spec)
    }
}

/// Defaults of a Job's spec, alone or in a CronJob.
fn fill_spec(spec: &mut JobSpec) {
    if spec.completions.is_none() && spec.parallelism.is_none() {
        spec.completions = Some(1);
    }
    fill::value(&mut spec.parallelism, 1);
    fill::value(&mut spec.backoff_limit, if spec.backoff_limit_per_index.is_some() { i32::MAX } else { 6 });
    fill::value(&mut spec.completion_mode, "NonIndexed".to_owned());
    fill::value(&mut spec.suspend, false);
    let replacement = if spec.pod_failure_policy.is_some() { "Failed" } else { "TerminatingOrFailed" };
    fill::value(&mut spec.pod_replacement_policy, replacement.to_owned());
    fill::value(&mut spec.manual_selector, false);
    fill_in_template(spec);
}

/// The defaults that a Job inside a CronJob gets too; the rest come when the Job is made.
pub(super) fn fill_in_template(spec: &mut JobSpec) {
    pod_template::fill(&mut spec.template);
    for rule in spec.pod_failure_policy.iter_mut().flat_map(|policy| &mut policy.rules) {
        for pattern in rule.on_pod_conditions.iter_mut().flatten() {
            fill::text(&mut pattern.status, "True");
        }
    }
}

fn generate_selector(job: &mut Job) {
    let (uid, name) = (text(&job.metadata.uid).to_owned(), text(&job.metadata.name).to_owned());
    let Some(spec) = &mut job.spec else { return };
    let labels = spec.template.metadata.get_or_insert_default().labels.get_or_insert_default();
    for (keys, value) in [(NAME_LABELS, &name), (UID_LABELS, &uid)] {
        for key in keys {
            labels.entry(key.to_owned()).or_insert_with(|| value.clone());
        }
    }
    let selected = spec.selector.get_or_insert_default().match_labels.get_or_insert_default();
    selected.entry(CONTROLLER_UID.to_owned()).or_insert(uid);
}

/// A generated selector and its labels must be as generated, whatever the writer put there.
fn validate_generated_selector(job: &Job, spec: &JobSpec, errors: &mut Errors) {
    let Some(selector) = &spec.selector else { return };
    if spec.manual_selector == Some(true) {
        return;
    }
    let (uid, name) = (text(&job.metadata.uid), text(&job.metadata.name));
    errors.given(&Path::new("metadata.uid"), uid);
    let none = Labels::new();
    let labels = pod_template::labels(&spec.template).unwrap_or(&none);
    let path = Path::new("spec.template.metadata.labels");
    let mut expected = Labels::new();
    for (key, value) in
        UID_LABELS.into_iter().zip(NAME_LABELS).flat_map(|(uid_key, name_key)| [(uid_key, uid), (name_key, name)])
    {
        expected.insert(key.to_owned(), value.to_owned());
        match labels.get(key) {
            None => errors.required(&path.key(key), std::format!("must be '{value}'")),
            Some(actual) if actual != value => {
                errors.invalid(&path.key(key), Json(labels), std::format!("must be '{value}'"));
            }
            Some(_) => {}
        }
    }
    if !label_selector_matches(selector, Some(&expected)) {
        errors.invalid(&Path::new("spec.selector"), Json(selector), "`selector` not auto-generated");
    }
}

/// Pods of an indexed Job are called after its name and their index, which must make a host name.
fn validate_index_fits_name(job: &Job, spec: &JobSpec, errors: &mut Errors) {
    let Some(completions) = spec.completions.filter(|completions| *completions > 0) else { return };
    if spec.completion_mode.as_deref() != Some(INDEXED) {
        return;
    }
    let name = text(&job.metadata.name);
    let hostname = std::format!("{name}-{}", completions - 1);
    if !format::dns1123_label(&hostname).is_empty() {
        let message = std::format!("will not able to create pod with invalid DNS label: {hostname}");
        errors.invalid(&Path::new("metadata.name"), name, message);
    }
}

fn validate_with_selector(spec: &JobSpec, path: &Path, errors: &mut Errors) {
    validate_spec(spec, path, errors);
    let Some(selector) = &spec.selector else { return errors.required(&path.field("selector"), "") };
    errors.label_selector(&path.field("selector"), Some(selector));
    let selected = label_selector_matches(selector, pod_template::labels(&spec.template));
    pod_template::validate_selected(&spec.template, selected, &path.field("template"), errors);
}

/// Checks a Job's spec but for its selector, which a CronJob's template may not have.
pub(super) fn validate_spec(spec: &JobSpec, path: &Path, errors: &mut Errors) {
    for (field, number) in [
        ("parallelism", spec.parallelism),
        ("completions", spec.completions),
        ("backoffLimit", spec.backoff_limit),
        ("ttlSecondsAfterFinished", spec.ttl_seconds_after_finished),
        ("backoffLimitPerIndex", spec.backoff_limit_per_index),
        ("maxFailedIndexes", spec.max_failed_indexes),
    ] {
        errors.non_negative(&path.field(field), number);
    }
    errors.non_negative(&path.field("activeDeadlineSeconds"), spec.active_deadline_seconds);
    if spec.max_failed_indexes.is_some() && spec.backoff_limit_per_index.is_none() {
        errors.required(&path.field("backoffLimitPerIndex"), "when maxFailedIndexes is specified");
    }
    if let Some(manager) = &spec.managed_by {
        errors.domain_prefixed_path(&path.field("managedBy"), manager);
        if manager.len() > MANAGED_BY_BYTES_MAX {
            errors.too_long(&path.field("managedBy"), MANAGED_BY_BYTES_MAX);
        }
    }
    validate_completion_mode(spec, path, errors);
    policies::validate(spec, path, errors);
    pod_template::validate(&spec.template, &path.field("template"), errors);
    validate_restart_policy(spec, &path.field("template").field("spec").field("restartPolicy"), errors);
}

fn validate_completion_mode(spec: &JobSpec, path: &Path, errors: &mut Errors) {
    errors.any_of(&path.field("completionMode"), &spec.completion_mode, &["NonIndexed", INDEXED]);
    let (parallelism, failed) = (spec.parallelism, spec.max_failed_indexes);
    match spec.completion_mode.as_deref() {
        Some(INDEXED) => {
            if spec.completions.is_none() {
                errors.required(&path.field("completions"), "when completion mode is Indexed");
            }
            errors.at_most(
                &path.field("parallelism"),
                parallelism,
                PARALLELISM_MAX,
                " when completion mode is Indexed",
            );
            if let (Some(failed), Some(completions)) = (failed, spec.completions)
                && failed > completions
            {
                errors.invalid(&path.field("maxFailedIndexes"), failed, "must be less than or equal to completions");
            }
            errors.at_most(&path.field("maxFailedIndexes"), failed, FAILED_INDEXES_MAX, "");
            if spec.completions.is_some_and(|completions| completions > MANY_COMPLETIONS)
                && spec.backoff_limit_per_index.is_some()
            {
                let when = " when completions are above 100000 and used with backoff limit per index";
                if failed.is_none() {
                    let message = std::format!("must be specified when completions is above {MANY_COMPLETIONS}");
                    errors.required(&path.field("maxFailedIndexes"), message);
                }
                errors.at_most(&path.field("parallelism"), parallelism, PARALLELISM_MAX_IF_MANY, when);
                errors.at_most(&path.field("maxFailedIndexes"), failed, FAILED_INDEXES_MAX_IF_MANY, when);
            }
        }
        None | Some("NonIndexed") => {
            for (field, value) in [("backoffLimitPerIndex", spec.backoff_limit_per_index), ("maxFailedIndexes", failed)]
            {
                if let Some(value) = value {
                    errors.invalid(&path.field(field), value, "requires indexed completion mode");
                }
            }
        }
        Some(_) => {}
    }
}

fn validate_restart_policy(spec: &JobSpec, path: &Path, errors: &mut Errors) {
    let policy = spec.template.spec.as_ref().map_or("", |spec| text(&spec.restart_policy));
    match policy {
        "" | "Always" => errors.required(path, "valid values: \"OnFailure\", \"Never\""),
        "Never" => {}
        "OnFailure" if spec.pod_failure_policy.is_some() => {
            errors.invalid(path, policy, "only \"Never\" is supported when podFailurePolicy is specified");
        }
        _ => errors.one_of(path, policy, &["OnFailure", "Never"]),
    }
}

/// Whether it waits, and no pod of it works: it never started, or its controller says that it is suspended. Source: upstream's
/// features MutableSchedulingDirectivesForSuspendedJobs, MutablePodResourcesForSuspendedJobs.
fn may_be_directed(job: &Job) -> bool {
    let rests = |status: &JobStatus| {
        let mut conditions = status.conditions.iter().flatten();
        let is_suspended = conditions.any(|condition| condition.type_ == "Suspended" && condition.status == "True");
        status.active.unwrap_or(0) == 0 && (status.start_time.is_none() || is_suspended)
    };
    job.spec.as_ref().is_some_and(|spec| spec.suspend == Some(true)) && job.status.as_ref().is_none_or(rests)
}

fn validate_spec_update(new: &JobSpec, old: &JobSpec, may_direct: bool, path: &Path, errors: &mut Errors) {
    if new.completion_mode.as_deref() != Some(INDEXED) {
        errors.immutable(&path.field("completions"), &new.completions, &old.completions);
    } else if new.completions != old.completions && new.completions.is_some() && new.completions != new.parallelism {
        let message = "can only be modified in tandem with spec.parallelism";
        errors.invalid(&path.field("completions"), new.completions, message);
    }
    errors.immutable(&path.field("selector"), &new.selector, &old.selector);
    if may_direct {
        let directed = with_directives_of(&old.template, &new.template);
        errors.immutable(&path.field("template"), &new.template, &directed);
    } else {
        errors.immutable(&path.field("template"), &new.template, &old.template);
    }
    errors.immutable(&path.field("completionMode"), &new.completion_mode, &old.completion_mode);
    errors.immutable(&path.field("podFailurePolicy"), &new.pod_failure_policy, &old.pod_failure_policy);
    errors.immutable(&path.field("backoffLimitPerIndex"), &new.backoff_limit_per_index, &old.backoff_limit_per_index);
    errors.immutable(&path.field("managedBy"), &new.managed_by, &old.managed_by);
    errors.immutable(&path.field("successPolicy"), &new.success_policy, &old.success_policy);
}

/// The old template with all that says where pods run, and with what, taken from the new one: a Job that rests may change it.
fn with_directives_of(old: &PodTemplateSpec, new: &PodTemplateSpec) -> PodTemplateSpec {
    let mut template = old.clone();
    let new_metadata = new.metadata.clone().unwrap_or_default();
    let metadata = template.metadata.get_or_insert_default();
    metadata.labels = new_metadata.labels;
    metadata.annotations = new_metadata.annotations;
    if let (Some(spec), Some(new)) = (&mut template.spec, &new.spec) {
        let mut affinity = spec.affinity.take().unwrap_or_default();
        affinity.node_affinity = new.affinity.as_ref().and_then(|affinity| affinity.node_affinity.clone());
        spec.affinity = Some(affinity).filter(|affinity| new.affinity.is_some() || *affinity != Affinity::default());
        spec.node_selector = new.node_selector.clone();
        spec.tolerations = new.tolerations.clone();
        spec.scheduling_gates = new.scheduling_gates.clone();
        let before = spec.init_containers.iter_mut().flatten().chain(&mut spec.containers);
        for (container, new) in before.zip(items(&new.init_containers).iter().chain(&new.containers)) {
            container.resources = new.resources.clone();
        }
    }
    template
}

impl Errors {
    fn at_most(&mut self, path: &Path, value: Option<i32>, most: i32, when: &str) {
        if let Some(value) = value.filter(|value| *value > most) {
            self.invalid(path, value, std::format!("must be less than or equal to {most}{when}"));
        }
    }
}

/// The names of a template's containers.
fn container_names(template: &PodTemplateSpec) -> impl Iterator<Item = &str> {
    let spec = template.spec.iter();
    spec.flat_map(|spec| spec.containers.iter().chain(items(&spec.init_containers)))
        .map(|container| container.name.as_str())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::may_be_directed;

    #[test]
    fn a_job_may_be_directed_while_it_rests() {
        let started = "2030-01-01T12:00:00Z";
        let suspended = json!([{"type": "Suspended", "status": "True"}]);
        for (suspend, status, may) in [
            (true, json!({}), true),
            (false, json!({}), false),
            (true, json!({"startTime": started}), false),
            (true, json!({"startTime": started, "conditions": suspended}), true),
            (true, json!({"active": 1}), false),
            (true, json!({"active": 1, "conditions": suspended}), false),
        ] {
            let job = json!({"spec": {"suspend": suspend, "template": {}}, "status": status});
            assert_eq!(may_be_directed(&serde_json::from_value(job).unwrap()), may, "{suspend} {status}");
        }
    }
}
