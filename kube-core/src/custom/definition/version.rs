//! Versions, and what stands beside their schemas: subresources, columns, selectable fields, warnings.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{
    CustomResourceColumnDefinition, CustomResourceDefinitionSpec, CustomResourceDefinitionVersion,
    CustomResourceSubresourceScale, JSONSchemaProps, JSONSchemaPropsOrBool, SelectableField,
};

use super::{SPEC, schema};
use crate::field::{Errors, Json, Path, format};

/// Names of versions, and which one objects are kept in.
pub(super) fn check_versions(spec: &CustomResourceDefinitionSpec, errors: &mut Errors) {
    let path = SPEC.field("versions");
    let versions = &spec.versions;
    for (index, version) in versions.iter().enumerate() {
        let path = path.index(index);
        if schema_of(version).is_none() {
            errors.required(&path.field("schema.openAPIV3Schema"), "schemas are required");
        }
        let messages = format::dns1035_label(&version.name);
        if !messages.is_empty() {
            errors.invalid(&path.field("name"), &version.name, messages.join(","));
        }
        check_warning(version, &path, errors);
    }
    let is_repeated = |(index, version): (usize, &CustomResourceDefinitionVersion)| {
        versions.iter().take(index).any(|earlier| earlier.name == version.name)
    };
    if versions.iter().enumerate().any(is_repeated) {
        errors.invalid(&path, Json(versions), "must contain unique version names");
    }
    if versions.iter().filter(|version| version.storage).count() != 1 {
        errors.invalid(&path, Json(versions), "must have exactly one version marked as storage version");
    }
}

fn check_warning(version: &CustomResourceDefinitionVersion, path: &Path, errors: &mut Errors) {
    let Some(warning) = &version.deprecation_warning else { return };
    let path = path.field("deprecationWarning");
    if version.deprecated != Some(true) {
        return errors.invalid(&path, warning, "can only be set for deprecated versions");
    }
    if warning.len() > 256 {
        errors.invalid(&path, warning, "must be <= 256 characters long");
    }
    if warning.is_empty() {
        errors.invalid(&path, warning, "must not be an empty string");
    }
    if let Some((index, _)) = warning.char_indices().find(|(_, letter)| letter.is_control()) {
        let why =
            format!("must only contain printable UTF-8 characters; non-printable character found at index {index}");
        errors.invalid(&path, warning, why);
    }
}

fn schema_of(version: &CustomResourceDefinitionVersion) -> Option<&JSONSchemaProps> {
    version.schema.as_ref()?.open_api_v3_schema.as_ref()
}

/// What each version is made of. What all versions have alike is checked once, under the name it has inside upstream.
pub(super) fn check_schemas(spec: &CustomResourceDefinitionSpec, errors: &mut Errors) {
    let Some(first) = spec.versions.first() else { return };
    let all = |is_same: fn(&CustomResourceDefinitionVersion, &CustomResourceDefinitionVersion) -> bool| {
        spec.versions.iter().all(|version| is_same(version, first))
    };
    let one_schema = all(|version, first| version.schema == first.schema);
    let one_subresources = all(|version, first| version.subresources == first.subresources);
    let one_columns = all(|version, first| version.additional_printer_columns == first.additional_printer_columns);
    let one_selectable = one_schema && all(|version, first| version.selectable_fields == first.selectable_fields);
    let versions = SPEC.field("versions");
    for (index, version) in spec.versions.iter().enumerate() {
        let path = versions.index(index);
        let is_first = index == 0;
        if let Some(props) = schema_of(version).filter(|_| is_first || !one_schema) {
            let of_spec = SPEC.field("validation");
            let of_version = path.field("schema");
            schema::check(props, if one_schema { &of_spec } else { &of_version }, errors);
        }
        let scale = version.subresources.as_ref().and_then(|below| below.scale.as_ref());
        if let Some(scale) = scale.filter(|_| is_first || !one_subresources) {
            check_scale(scale, &(if one_subresources { SPEC } else { path }).field("subresources.scale"), errors);
        }
        if is_first || !one_columns {
            let base = if one_columns { SPEC } else { path };
            let columns = base.field("additionalPrinterColumns");
            for (index, column) in version.additional_printer_columns.iter().flatten().enumerate() {
                check_column(column, &columns.index(index), errors);
            }
        }
        if is_first || !one_selectable {
            let base = if one_selectable { SPEC } else { path };
            let fields = version.selectable_fields.as_deref().unwrap_or_default();
            check_selectable(fields, schema_of(version), &base.field("selectableFields"), errors);
        }
    }
}

fn check_path(text: &str, path: &Path, errors: &mut Errors) -> bool {
    if text.starts_with('.') {
        return true;
    }
    errors.invalid(path, text, "must be a simple json path starting with .");
    false
}

fn check_scale(scale: &CustomResourceSubresourceScale, path: &Path, errors: &mut Errors) {
    let label = scale.label_selector_path.as_deref().unwrap_or("");
    let paths = [
        ("specReplicasPath", scale.spec_replicas_path.as_str(), &[".spec."][..], ".spec", true),
        ("statusReplicasPath", scale.status_replicas_path.as_str(), &[".status."], ".status", true),
        ("labelSelectorPath", label, &[".spec.", ".status."], ".spec or .status", false),
    ];
    for (name, text, prefixes, place, is_required) in paths {
        let path = path.field(name);
        if text.is_empty() {
            if is_required {
                errors.required(&path, "");
            }
        } else if check_path(text, &path, errors) && !prefixes.iter().any(|prefix| text.starts_with(prefix)) {
            errors.invalid(&path, text, format!("should be a json path under {place}"));
        }
    }
}

const COLUMN_TYPES: [&str; 5] = ["boolean", "date", "integer", "number", "string"];
const COLUMN_FORMATS: [&str; 9] =
    ["byte", "date", "date-time", "double", "float", "int32", "int64", "password", "string"];

fn check_column(column: &CustomResourceColumnDefinition, path: &Path, errors: &mut Errors) {
    if column.name.is_empty() {
        errors.required(&path.field("name"), "");
    }
    let one_of = |known: &[&str]| format!("must be one of {}", known.join(","));
    if column.type_.is_empty() {
        errors.required(&path.field("type"), one_of(&COLUMN_TYPES));
    } else if !COLUMN_TYPES.contains(&column.type_.as_str()) {
        errors.invalid(&path.field("type"), &column.type_, one_of(&COLUMN_TYPES));
    }
    let format = column.format.as_deref().unwrap_or("");
    if !format.is_empty() && !COLUMN_FORMATS.contains(&format) {
        errors.invalid(&path.field("format"), format, one_of(&COLUMN_FORMATS));
    }
    if column.json_path.is_empty() {
        errors.required(&path.field("JSONPath"), "");
    } else {
        check_path(&column.json_path, &path.field("JSONPath"), errors);
    }
}

/// How many fields of a version may be selected by. Source: apiextensions `MaxSelectableFields`.
const SELECTABLE_MAX: usize = 8;

fn check_selectable(fields: &[SelectableField], props: Option<&JSONSchemaProps>, path: &Path, errors: &mut Errors) {
    for (index, field) in fields.iter().enumerate() {
        let (text, path) = (field.json_path.as_str(), path.index(index));
        let path = path.field("jsonPath");
        if text.is_empty() {
            errors.required(&path, "");
        } else if fields.iter().take(index).any(|earlier| earlier.json_path == text) {
            errors.duplicate(&path, text);
        } else if let Err(why) = selectable_type(text, props) {
            errors.invalid(&path, text, why);
        }
    }
    if fields.len() > SELECTABLE_MAX {
        errors.too_many(path, fields.len(), SELECTABLE_MAX);
    }
}

fn selectable_type(text: &str, props: Option<&JSONSchemaProps>) -> Result<(), String> {
    let names = text.strip_prefix('.').ok_or("must be a simple json path starting with .")?;
    if names.split('.').next() == Some("metadata") {
        return Err("must not point to fields in metadata".to_owned());
    }
    let found = names.split('.').try_fold(props, |props, name| {
        let props = props?;
        let below = props.properties.as_ref().and_then(|properties| properties.get(name));
        Some(below.or(match &props.additional_properties {
            Some(JSONSchemaPropsOrBool::Schema(props)) => Some(&**props),
            _ => None,
        }))
    });
    match found.flatten().and_then(|props| props.type_.as_deref()) {
        Some("string" | "boolean" | "integer") => Ok(()),
        _ => Err("must point to a field of type string, boolean or integer. Enum string fields and strings with formats are \
                  allowed."
            .to_owned()),
    }
}
