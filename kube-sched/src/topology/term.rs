//! Terms of affinity between pods, ready to be matched.

use std::sync::OnceLock;

use coracle_core::selector::{Labels, Selector};
use k8s_openapi::api::core::v1::{PodAffinityTerm, WeightedPodAffinityTerm};

use crate::pod::PodInfo;
use crate::shape::Shape;
use crate::snapshot::Snapshot;

/// Which pods a term means, and within which domain.
#[derive(Debug)]
pub(crate) struct Term {
    namespaces: Vec<String>,
    namespace_selector: Selector,
    selector: Selector,
    /// The node label whose value names the domain.
    pub(crate) key: String,
    /// How much a preferred term counts; negative for anti-affinity.
    pub(crate) weight: i64,
}

impl Term {
    fn new(term: &PodAffinityTerm, own_namespace: &str, weight: i64) -> Self {
        let selector = |selector| Selector::from_label_selector(selector).unwrap_or(Selector::nothing());
        let mut namespaces = term.namespaces.clone().unwrap_or_default();
        if namespaces.is_empty() && term.namespace_selector.is_none() {
            namespaces.push(own_namespace.to_owned());
        }
        Self {
            namespaces,
            namespace_selector: selector(term.namespace_selector.as_ref()),
            selector: selector(term.label_selector.as_ref()),
            key: term.topology_key.clone(),
            weight,
        }
    }

    /// Whether the term means a pod.
    pub(crate) fn means(&self, pod: &PodInfo, cluster: &Snapshot) -> bool {
        let namespace = pod.namespace();
        let in_scope = self.namespaces.iter().any(|listed| listed == namespace)
            || self.namespace_selector.is_everything()
            || (!self.namespace_selector.is_nothing()
                && self.namespace_selector.matches(cluster.namespace_labels(namespace)));
        in_scope && self.selector.matches_optional(pod.pod.metadata.labels.as_ref())
    }
}

/// All terms of a shape.
#[derive(Debug, Default)]
pub(crate) struct Terms {
    pub(crate) affinity: Vec<Term>,
    pub(crate) anti_affinity: Vec<Term>,
    /// Weights of anti-affinity are negative.
    pub(crate) preferred: Vec<Term>,
}

impl Terms {
    pub(crate) fn is_empty(&self) -> bool {
        self.affinity.is_empty() && self.anti_affinity.is_empty() && self.preferred.is_empty()
    }

    fn of(shape: &Shape) -> Self {
        let namespace = &shape.namespace;
        let required = |term: &PodAffinityTerm| Term::new(term, namespace, 0);
        let weighted = |term: &WeightedPodAffinityTerm, sign| {
            Term::new(&term.pod_affinity_term, namespace, sign * i64::from(term.weight))
        };
        let affinity = shape.affinity.as_ref();
        let for_pods = affinity.and_then(|affinity| affinity.pod_affinity.as_ref());
        let against = affinity.and_then(|affinity| affinity.pod_anti_affinity.as_ref());
        let likes = for_pods.and_then(|it| it.preferred_during_scheduling_ignored_during_execution.as_ref());
        let dislikes = against.and_then(|it| it.preferred_during_scheduling_ignored_during_execution.as_ref());
        let likes = likes.into_iter().flatten().map(|term| weighted(term, 1));
        let dislikes = dislikes.into_iter().flatten().map(|term| weighted(term, -1));
        Self {
            affinity: shape.required_affinity().map(required).collect(),
            anti_affinity: shape.required_anti_affinity().map(required).collect(),
            preferred: likes.chain(dislikes).collect(),
        }
    }
}

/// The terms of a shape, made when first asked for. They follow from the rest of the shape, so they never differ alone.
#[derive(Debug, Default)]
pub(crate) struct PodTerms(OnceLock<Terms>);

impl PodTerms {
    pub(crate) fn of(&self, shape: &Shape) -> &Terms {
        self.0.get_or_init(|| Terms::of(shape))
    }
}

impl PartialEq for PodTerms {
    fn eq(&self, _other: &Self) -> bool {
        true
    }
}

/// No labels at all.
pub(crate) static NO_LABELS: Labels = Labels::new();
