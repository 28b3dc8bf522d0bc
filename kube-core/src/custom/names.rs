//! Who may have which name: each name belongs to one definition of its group, the first that asked for it.
//!
//! Source: apiextensions `naming_controller.go`, `establishing_controller.go`.

use std::collections::BTreeSet;

use jiff::Timestamp;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{
    CustomResourceDefinition, CustomResourceDefinitionCondition, CustomResourceDefinitionNames,
    CustomResourceDefinitionStatus,
};

/// Holds a definition until its objects are gone.
pub const FINALIZER: &str = "customresourcecleanup.apiextensions.k8s.io";

/// Whether a condition of a definition is true.
#[must_use]
pub fn has_condition(definition: &CustomResourceDefinition, type_: &str) -> bool {
    let conditions = definition.status.iter().flat_map(|status| status.conditions.iter().flatten());
    conditions.into_iter().any(|condition| condition.type_ == type_ && condition.status == "True")
}

/// Sets a condition; its time changes only with its status.
pub fn set_condition(
    status: &mut CustomResourceDefinitionStatus,
    type_: &str,
    value: &str,
    why: (&str, &str),
    now: Timestamp,
) {
    let conditions = status.conditions.get_or_insert_default();
    let made = CustomResourceDefinitionCondition {
        type_: type_.to_owned(),
        status: value.to_owned(),
        reason: Some(why.0.to_owned()),
        message: Some(why.1.to_owned()),
        last_transition_time: Some(crate::time::whole_seconds(now)),
        observed_generation: None,
    };
    match conditions.iter_mut().find(|condition| condition.type_ == type_) {
        Some(known) => {
            let since = known.last_transition_time.take().filter(|_| known.status == value);
            let changed = made.last_transition_time.clone();
            *known = CustomResourceDefinitionCondition { last_transition_time: since.or(changed), ..made };
        }
        None => conditions.push(made),
    }
}

/// What the status of a definition should be, given all definitions.
#[must_use]
pub fn status<'a>(
    definition: &CustomResourceDefinition,
    all: impl Iterator<Item = &'a CustomResourceDefinition>,
    now: Timestamp,
) -> CustomResourceDefinitionStatus {
    let mut status = definition.status.clone().unwrap_or_default();
    let taken = Taken::by_others(definition, all);
    let (accepted, conflict) = accept(&definition.spec.names, status.accepted_names.take().unwrap_or_default(), &taken);
    status.accepted_names = Some(accepted);
    match &conflict {
        Some((reason, message)) => set_condition(&mut status, "NamesAccepted", "False", (reason, message), now),
        None => set_condition(&mut status, "NamesAccepted", "True", ("NoConflicts", "no conflicts found"), now),
    }
    if !has_condition(definition, "Established") {
        match conflict {
            None => {
                let why = ("InitialNamesAccepted", "the initial names have been accepted");
                set_condition(&mut status, "Established", "True", why, now);
            }
            Some(_) => {
                let why = ("NotAccepted", "not all names are accepted");
                set_condition(&mut status, "Established", "False", why, now);
            }
        }
    }
    status
}

/// The names that the other definitions of the group have.
struct Taken {
    resources: BTreeSet<String>,
    kinds: BTreeSet<String>,
}

impl Taken {
    fn by_others<'a>(
        definition: &CustomResourceDefinition,
        all: impl Iterator<Item = &'a CustomResourceDefinition>,
    ) -> Self {
        let mut taken = Self { resources: BTreeSet::new(), kinds: BTreeSet::new() };
        for other in all.filter(|other| {
            other.spec.group == definition.spec.group && other.metadata.name != definition.metadata.name
        }) {
            let Some(names) = other.status.as_ref().and_then(|status| status.accepted_names.as_ref()) else { continue };
            taken.resources.extend([names.plural.clone()]);
            taken.resources.extend(names.singular.iter().chain(names.short_names.iter().flatten()).cloned());
            taken.kinds.extend([names.kind.clone()]);
            taken.kinds.extend(names.list_kind.iter().cloned());
        }
        taken
    }
}

type Conflict = (&'static str, String);

/// The names that a definition has now, and the last conflict, as upstream reports only one.
fn accept(
    asked: &CustomResourceDefinitionNames,
    mut names: CustomResourceDefinitionNames,
    taken: &Taken,
) -> (CustomResourceDefinitionNames, Option<Conflict>) {
    let mut conflict = None;
    let in_use = |name: &str| format!("\"{name}\" is already in use");
    let text = |name: &Option<String>| name.clone().unwrap_or_default();
    let mut is_free = |reason, asked: &str, accepted: &str, taken: &BTreeSet<String>| {
        let is_free = asked == accepted || !taken.contains(asked);
        if !is_free {
            conflict = Some((reason, in_use(asked)));
        }
        is_free
    };
    if is_free("PluralConflict", &asked.plural, &names.plural, &taken.resources) {
        names.plural.clone_from(&asked.plural);
    }
    if is_free("SingularConflict", &text(&asked.singular), &text(&names.singular), &taken.resources) {
        names.singular.clone_from(&asked.singular);
    }
    let kept = names.short_names.clone().unwrap_or_default();
    let short = asked.short_names.iter().flatten().filter(|name| !kept.contains(name));
    let used: Vec<String> = short.filter(|name| taken.resources.contains(*name)).map(|name| in_use(name)).collect();
    let is_kind_free = is_free("KindConflict", &asked.kind, &names.kind, &taken.kinds);
    let is_list_free = is_free("ListKindConflict", &text(&asked.list_kind), &text(&names.list_kind), &taken.kinds);
    if is_kind_free {
        names.kind.clone_from(&asked.kind);
    }
    if is_list_free {
        names.list_kind.clone_from(&asked.list_kind);
    }
    match used.as_slice() {
        [] => names.short_names.clone_from(&asked.short_names),
        [only] => conflict = conflict.or_else(|| Some(("ShortNamesConflict", only.clone()))),
        many => conflict = conflict.or_else(|| Some(("ShortNamesConflict", format!("[{}]", many.join(", "))))),
    }
    names.categories.clone_from(&asked.categories);
    (names, conflict)
}
