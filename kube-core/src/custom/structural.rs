//! A structural schema, ready to be walked: every place has one type, and the logical junctors only check.

use std::collections::BTreeMap;

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{
    JSONSchemaProps, JSONSchemaPropsOrArray, JSONSchemaPropsOrBool, ValidationRule,
};
use regex::Regex;
use serde_json::Value;

/// One place of a structural schema. Source: apiextensions `schema.Structural`.
#[derive(Clone, Debug, Default)]
pub struct Structural {
    /// `object`, `array`, `string`, `integer`, `number` or `boolean`; empty for a place of any type.
    pub type_: String,
    /// Whether `null` is a value.
    pub nullable: bool,
    /// What stands for the place when it is left out.
    pub default: Option<Value>,
    /// The fields of an object.
    pub properties: BTreeMap<String, Structural>,
    /// What other fields of an object may be.
    pub additional: Additional,
    /// The items of an array.
    pub items: Option<Box<Structural>>,
    /// `x-kubernetes-preserve-unknown-fields`: whether fields that are not described are kept.
    pub preserves_unknown: bool,
    /// `x-kubernetes-embedded-resource`: whether this is an object with metadata of its own.
    pub is_embedded: bool,
    /// `x-kubernetes-int-or-string`.
    pub is_int_or_string: bool,
    /// `x-kubernetes-list-type`; empty means `atomic`.
    pub list_type: String,
    /// `x-kubernetes-list-map-keys`.
    pub list_map_keys: Vec<String>,
    /// Whether `x-kubernetes-map-type` is `atomic`.
    pub is_atomic_map: bool,
    /// What values must be beyond their type.
    pub checks: Checks,
    /// The CEL rules that stand here.
    pub rules: Vec<ValidationRule>,
}

/// What an object's fields without a description may be.
#[derive(Clone, Debug, Default)]
pub enum Additional {
    /// There may be none.
    #[default]
    None,
    /// Anything.
    Any,
    /// Of this schema: the object is a map.
    Schema(Box<Structural>),
}

/// What values must be beyond their type. Source: apiextensions `schema.ValueValidation`.
#[derive(Clone, Debug, Default)]
pub struct Checks {
    pub(super) format: String,
    pub(super) pattern: Option<Regex>,
    pub(super) length_min: Option<i64>,
    pub(super) length_max: Option<i64>,
    pub(super) minimum: Option<f64>,
    pub(super) maximum: Option<f64>,
    pub(super) is_minimum_excluded: bool,
    pub(super) is_maximum_excluded: bool,
    pub(super) multiple_of: Option<f64>,
    pub(super) items_min: Option<i64>,
    pub(super) items_max: Option<i64>,
    pub(super) has_unique_items: bool,
    pub(super) properties_min: Option<i64>,
    pub(super) properties_max: Option<i64>,
    pub(super) required: Vec<String>,
    pub(super) choices: Vec<Value>,
    pub(super) all_of: Vec<Structural>,
    pub(super) any_of: Vec<Structural>,
    pub(super) one_of: Vec<Structural>,
    pub(super) not: Option<Box<Structural>>,
}

impl Structural {
    /// The schema of a definition, ready to be walked. A pattern that is no regular expression checks nothing: definitions
    /// are refused for it.
    #[must_use]
    pub fn new(props: &JSONSchemaProps) -> Self {
        let properties = props.properties.iter().flatten();
        let properties: BTreeMap<_, _> = properties.map(|(name, props)| (name.clone(), Self::new(props))).collect();
        let additional = match &props.additional_properties {
            Some(JSONSchemaPropsOrBool::Schema(props)) => Additional::Schema(Box::new(Self::new(props))),
            Some(JSONSchemaPropsOrBool::Bool(true)) => Additional::Any,
            Some(JSONSchemaPropsOrBool::Bool(false)) | None => Additional::None,
        };
        let items = match &props.items {
            Some(JSONSchemaPropsOrArray::Schema(props)) => Some(Box::new(Self::new(props))),
            _ => None,
        };
        Self {
            type_: props.type_.clone().unwrap_or_default(),
            nullable: props.nullable == Some(true),
            default: props.default.as_ref().map(|default| default.0.clone()).filter(|default| !default.is_null()),
            properties,
            additional,
            items,
            preserves_unknown: props.x_kubernetes_preserve_unknown_fields == Some(true),
            is_embedded: props.x_kubernetes_embedded_resource == Some(true),
            is_int_or_string: props.x_kubernetes_int_or_string == Some(true),
            list_type: props.x_kubernetes_list_type.clone().unwrap_or_default(),
            list_map_keys: props.x_kubernetes_list_map_keys.clone().unwrap_or_default(),
            is_atomic_map: props.x_kubernetes_map_type.as_deref() == Some("atomic"),
            checks: Checks::new(props),
            rules: props.x_kubernetes_validations.clone().unwrap_or_default(),
        }
    }

    /// The schema of a whole object, whose `apiVersion`, `kind` and `metadata` are described elsewhere.
    #[must_use]
    pub fn root(props: &JSONSchemaProps) -> Self {
        Self { is_embedded: true, ..Self::new(props) }
    }

    /// A definition without a schema: everything is kept.
    #[must_use]
    pub fn anything() -> Self {
        Self { type_: "object".to_owned(), preserves_unknown: true, is_embedded: true, ..Self::default() }
    }

    /// The schema of an object's field, if the field has one.
    #[must_use]
    pub fn field(&self, name: &str) -> Option<&Self> {
        self.properties.get(name).or(match &self.additional {
            Additional::Schema(schema) => Some(schema),
            _ => None,
        })
    }
}

impl Checks {
    fn new(props: &JSONSchemaProps) -> Self {
        let all = |of: &Option<Vec<JSONSchemaProps>>| of.iter().flatten().map(Structural::new).collect();
        Self {
            format: props.format.clone().unwrap_or_default(),
            pattern: props.pattern.as_deref().filter(|text| !text.is_empty()).and_then(|text| Regex::new(text).ok()),
            length_min: props.min_length,
            length_max: props.max_length,
            minimum: props.minimum,
            maximum: props.maximum,
            is_minimum_excluded: props.exclusive_minimum == Some(true),
            is_maximum_excluded: props.exclusive_maximum == Some(true),
            multiple_of: props.multiple_of,
            items_min: props.min_items,
            items_max: props.max_items,
            has_unique_items: props.unique_items == Some(true),
            properties_min: props.min_properties,
            properties_max: props.max_properties,
            required: props.required.clone().unwrap_or_default(),
            choices: props.enum_.iter().flatten().map(|choice| choice.0.clone()).collect(),
            all_of: all(&props.all_of),
            any_of: all(&props.any_of),
            one_of: all(&props.one_of),
            not: props.not.as_ref().map(|not| Box::new(Structural::new(not))),
        }
    }
}
