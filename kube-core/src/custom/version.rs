//! One served version of a custom kind: what its objects go through on their way in and out.

use std::sync::Arc;

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{
    CustomResourceColumnDefinition, CustomResourceDefinition, CustomResourceDefinitionVersion,
    CustomResourceSubresourceScale, JSONSchemaProps,
};
use serde_json::Value;

use super::rules::Rules;
use super::structural::Structural;
use super::{check, defaulting, embedded, lists, prune, types};
use crate::field::{ErrorKind, Errors, Json, Path};
use crate::schema::Schema;

/// One served version of a custom kind.
#[derive(Clone, Debug)]
pub struct Version {
    structural: Structural,
    /// Compiled once, shared by all copies.
    rules: Option<Arc<Rules>>,
    schema: Schema,
    props: Option<JSONSchemaProps>,
    /// The columns that `kubectl get` shows; without any, the age.
    pub columns: Vec<CustomResourceColumnDefinition>,
    /// Paths of the fields that a field selector may name, such as `.spec.color`.
    pub selectable: Vec<String>,
    /// Where the numbers of the scale subresource stand.
    pub scale: Option<CustomResourceSubresourceScale>,
    /// What readers and writers of the version are warned of.
    pub deprecation: Option<String>,
    /// Whether the definition is being deleted: nothing new is created.
    pub is_terminating: bool,
    /// Whether other versions are made of this one by a webhook.
    pub needs_webhook: bool,
}

impl Version {
    /// A version of a definition.
    #[must_use]
    pub fn new(definition: &CustomResourceDefinition, version: &CustomResourceDefinitionVersion) -> Self {
        let props = version.schema.as_ref().and_then(|schema| schema.open_api_v3_schema.clone());
        let mut structural = props.as_ref().map_or_else(Structural::anything, Structural::root);
        structural.preserves_unknown |= definition.spec.preserve_unknown_fields == Some(true);
        let spec = &definition.spec;
        let warning = || {
            let name = format!("{}/{} {}", spec.group, version.name, spec.names.kind);
            version.deprecation_warning.clone().unwrap_or_else(|| format!("{name} is deprecated"))
        };
        Self {
            schema: types::schema(&structural),
            rules: Rules::new(&structural).map(Arc::new),
            structural,
            props,
            columns: version.additional_printer_columns.clone().unwrap_or_default(),
            selectable: version.selectable_fields.iter().flatten().map(|field| field.json_path.clone()).collect(),
            scale: version.subresources.as_ref().and_then(|below| below.scale.clone()),
            deprecation: (version.deprecated == Some(true)).then(warning),
            is_terminating: definition.metadata.deletion_timestamp.is_some(),
            needs_webhook: spec.conversion.as_ref().is_some_and(|conversion| conversion.strategy == "Webhook"),
        }
    }

    /// The type graph, for strict decoding and server-side apply.
    #[must_use]
    pub fn schema(&self) -> &Schema {
        &self.schema
    }

    /// The `openAPIV3Schema` as JSON, for publishing; `None` if the definition has none.
    #[must_use]
    pub fn open_api(&self) -> Option<Value> {
        serde_json::to_value(self.props.as_ref()?).ok()
    }

    /// Completes an object that comes in or goes out: defaults are filled in, what the schema does not describe is taken away.
    pub fn complete(&self, object: &mut Value) {
        defaulting::fill(object, &self.structural);
        defaulting::drop_nulls(object, &self.structural);
        embedded::tidy(object, &self.structural);
        prune::prune(object, &self.structural);
    }

    /// Checks an object, metadata apart. What has not changed since `old` is good.
    #[must_use]
    pub fn validate(&self, object: &Value, old: Option<&Value>) -> Errors {
        let mut errors = Errors::new();
        check::check(object, old, &self.structural, &Path::ROOT, &mut errors);
        self.check_scale(object, &mut errors);
        embedded::check(object, &self.structural, &Path::ROOT, &mut errors);
        lists::check(object, old, &self.structural, &Path::ROOT, &mut errors);
        self.check_rules(object, old, &mut errors);
        errors
    }

    /// Rules are only asked about objects of the right form. Source: apiextensions `customResourceStrategy.Validate`.
    fn check_rules(&self, object: &Value, old: Option<&Value>, errors: &mut Errors) {
        let Some(rules) = &self.rules else { return };
        let blocks = |kind: ErrorKind| {
            use ErrorKind::{NotSupported, Required, TooLong, TooMany, TypeInvalid};
            matches!(kind, NotSupported | Required | TooLong | TooMany | TypeInvalid)
        };
        if errors.iter().any(|error| blocks(error.kind)) {
            let why = "some validation rules were not checked because the object was invalid; correct the existing errors to \
                       complete validation";
            return errors.invalid(&Path::ROOT, Json(&Value::Null), why);
        }
        rules.check(object, old, &self.structural, &Path::ROOT, errors);
    }

    /// Source: apiextensions `customResourceValidator.ValidateScaleSpec`, `ValidateScaleStatus`.
    fn check_scale(&self, object: &Value, errors: &mut Errors) {
        let Some(scale) = &self.scale else { return };
        for path in [&scale.spec_replicas_path, &scale.status_replicas_path] {
            let Some(replicas) = path_of(object, path).and_then(Value::as_i64) else { continue };
            let field = Path::new(path.trim_start_matches('.'));
            if replicas < 0 {
                errors.invalid(&field, replicas, "should be a non-negative integer");
            } else if replicas > i64::from(i32::MAX) {
                errors.invalid(&field, replicas, format!("should be less than or equal to {}", i32::MAX));
            }
        }
    }
}

/// The value at a simple path such as `.spec.replicas`.
#[must_use]
pub fn path_of<'a>(object: &'a Value, path: &str) -> Option<&'a Value> {
    path.trim_start_matches('.').split('.').try_fold(object, |value, name| value.get(name))
}
