//! The pods a Job makes. Source: `manageJob`, `indexed_job_utils.go`.

use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::{Container, EnvVar, EnvVarSource, ObjectFieldSelector, Pod};

use super::finalizer;
use super::indexes::INDEX;
use super::policies::Verdict;
use super::view::{INDEX_FAILURES, INDEX_IGNORED_FAILURES, View, annotated};
use crate::ownership::controller_reference;
use crate::pods;

/// Names that are still to be finished may be this long. Source: apiserver `names.MaxGeneratedNameLength`.
const PREFIX_BYTES_MAX: usize = 58;
/// The environment variable that tells containers their index.
const INDEX_VARIABLE: &str = "JOB_COMPLETION_INDEX";

/// A pod of a Job, for an index if it is indexed. `replaced` is the failed pod whose place it takes.
pub(super) fn pod(view: &View<'_>, index: Option<i32>, replaced: Option<&Pod>) -> Pod {
    let mut pod = pods::from_template(&view.spec.template, &view.job.metadata, controller_reference(view.job));
    finalizer::put_on(&mut pod.metadata);
    if let Some(index) = index {
        give_index(&mut pod, view.job, index);
        if view.spec.backoff_limit_per_index.is_some() {
            give_failures(&mut pod, view, replaced);
        }
    }
    pod
}

fn give_index(pod: &mut Pod, job: &Job, index: i32) {
    let name = job.metadata.name.as_deref().unwrap_or("");
    let metadata = &mut pod.metadata;
    metadata.generate_name = Some(prefix(name, index));
    metadata.annotations.get_or_insert_default().insert(INDEX.to_owned(), index.to_string());
    metadata.labels.get_or_insert_default().insert(INDEX.to_owned(), index.to_string());
    let spec = pod.spec.get_or_insert_default();
    spec.hostname = Some(format!("{name}-{index}"));
    spec.init_containers.iter_mut().flatten().chain(&mut spec.containers).for_each(give_variable);
}

fn prefix(name: &str, index: i32) -> String {
    let end = format!("-{index}-");
    let length = name.len().min(PREFIX_BYTES_MAX.saturating_sub(end.len()));
    format!("{}{end}", name.get(..length).unwrap_or(name))
}

fn give_variable(container: &mut Container) {
    let variables = container.env.get_or_insert_default();
    if variables.iter().any(|variable| variable.name == INDEX_VARIABLE) {
        return;
    }
    let field = ObjectFieldSelector { api_version: None, field_path: format!("metadata.labels['{INDEX}']") };
    let source = EnvVarSource { field_ref: Some(field), ..EnvVarSource::default() };
    variables.push(EnvVar { name: INDEX_VARIABLE.to_owned(), value: None, value_from: Some(source) });
}

/// The new pod inherits the count of failures of its index.
fn give_failures(pod: &mut Pod, view: &View<'_>, replaced: Option<&Pod>) {
    let (mut failures, mut ignored) = (0, 0);
    if let Some(replaced) = replaced {
        failures = annotated(replaced, INDEX_FAILURES);
        ignored = annotated(replaced, INDEX_IGNORED_FAILURES);
        let counter = if view.verdict(replaced) == Verdict::Ignored { &mut ignored } else { &mut failures };
        *counter = counter.saturating_add(1);
    }
    let annotations = pod.metadata.annotations.get_or_insert_default();
    annotations.insert(INDEX_FAILURES.to_owned(), failures.to_string());
    if ignored > 0 {
        annotations.insert(INDEX_IGNORED_FAILURES.to_owned(), ignored.to_string());
    }
}

#[cfg(test)]
mod tests {
    use super::prefix;

    #[test]
    fn long_names_are_cut_before_the_index() {
        assert_eq!(prefix("work", 3), "work-3-");
        let cut = prefix(&"a".repeat(63), 12);
        assert_eq!((cut.len(), cut.ends_with("a-12-")), (58, true));
    }
}
