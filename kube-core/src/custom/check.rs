//! Whether values are what a schema says, in upstream's words. Source: kube-openapi `validation/validate`, `validation/errors`,
//! apiextensions `validation.kubeOpenAPIResultToFieldErrors`.

use serde_json::{Map, Number, Value};

use super::formats;
use super::structural::{Additional, Structural};
use crate::field::{BadValue, Errors, Json, Path};

/// Checks a value. What has not changed since `old` is not checked again, so that a stricter schema does not lock objects that
/// were written before it. Source: KEP-4008, CRD validation ratcheting.
pub(super) fn check(value: &Value, old: Option<&Value>, schema: &Structural, path: &Path, errors: &mut Errors) {
    if old == Some(value) {
        return;
    }
    check_type(value, schema, path, errors);
    if value.is_null() {
        return check_choices(value, schema, path, errors);
    }
    check_junctors(value, schema, path, errors);
    match value {
        Value::String(text) => check_text(text, schema, path, errors),
        Value::Number(number) => check_number(number, schema, path, errors),
        Value::Array(items) => check_array(items, old, schema, path, errors),
        _ => {}
    }
    check_choices(value, schema, path, errors);
    if let Value::Object(fields) = value {
        check_object(fields, old, schema, path, errors);
    }
}

/// A value as an error shows it: scalars as they are, everything else as JSON.
pub(super) struct Shown<'a>(pub(super) &'a Value);

impl BadValue for Shown<'_> {
    fn show(&self) -> String {
        match self.0 {
            Value::String(text) => text.show(),
            other => Json(other).show(),
        }
    }
}

/// The path as sentences name it; the root has no name.
fn name(path: &Path) -> String {
    let name = path.to_string();
    if name == "<nil>" { String::new() } else { name }
}

/// `spec.replicas in body should be ...`
fn wrong(errors: &mut Errors, path: &Path, value: impl BadValue, what: &str) {
    errors.invalid(path, value, format!("{} in body {what}", name(path)));
}

fn type_name(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(number) if number.is_f64() => "number",
        Value::Number(_) => "integer",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

fn check_type(value: &Value, schema: &Structural, path: &Path, errors: &mut Errors) {
    let wanted = if schema.is_int_or_string { "integer,string" } else { schema.type_.as_str() };
    let given = type_name(value);
    let is_whole = value.as_f64().is_some_and(|float| float.fract() == 0.0);
    let fits = match (wanted, given) {
        ("", _) => true,
        (_, "null") => schema.nullable,
        ("number", "integer") => true,
        ("integer" | "integer,string", "number") => is_whole,
        (wanted, given) => wanted.split(',').any(|wanted| wanted == given),
    };
    if !fits {
        let detail = format!("{} in body must be of type {wanted}: \"{given}\"", name(path));
        return errors.type_invalid(path, given, detail);
    }
    if let Value::String(text) = value
        && !formats::fits(&schema.checks.format, text)
    {
        let format = &schema.checks.format;
        let detail = format!("{} in body must be of type {format}: {}", name(path), text.show());
        errors.type_invalid(path, text, detail);
    }
}

fn check_text(text: &str, schema: &Structural, path: &Path, errors: &mut Errors) {
    let checks = &schema.checks;
    let length = text.chars().count() as i64;
    if let Some(max) = checks.length_max.filter(|max| length > *max) {
        return errors.too_long(path, usize::try_from(max).unwrap_or(0));
    }
    if let Some(min) = checks.length_min.filter(|min| length < *min) {
        return wrong(errors, path, text, &format!("should be at least {min} chars long"));
    }
    if let Some(pattern) = checks.pattern.as_ref().filter(|pattern| !pattern.is_match(text)) {
        wrong(errors, path, text, &format!("should match '{pattern}'"));
    }
}

fn check_number(number: &Number, schema: &Structural, path: &Path, errors: &mut Errors) {
    let (checks, shown) = (&schema.checks, Value::Number(number.clone()));
    let Some(value) = number.as_f64() else { return };
    if let Some(factor) = checks.multiple_of.filter(|factor| (value / factor).fract() != 0.0) {
        wrong(errors, path, Shown(&shown), &format!("should be a multiple of {factor}"));
    }
    if let Some(max) = checks.maximum {
        let (is_over, words) = match checks.is_maximum_excluded {
            true => (value >= max, "less than"),
            false => (value > max, "less than or equal to"),
        };
        if is_over {
            wrong(errors, path, Shown(&shown), &format!("should be {words} {max}"));
        }
    }
    if let Some(min) = checks.minimum {
        let (is_under, words) = match checks.is_minimum_excluded {
            true => (value <= min, "greater than"),
            false => (value < min, "greater than or equal to"),
        };
        if is_under {
            wrong(errors, path, Shown(&shown), &format!("should be {words} {min}"));
        }
    }
}

fn check_choices(value: &Value, schema: &Structural, path: &Path, errors: &mut Errors) {
    let choices = &schema.checks.choices;
    if choices.is_empty() || choices.contains(value) || (value.is_null() && schema.nullable) {
        return;
    }
    let texts: Vec<String> =
        choices.iter().map(|choice| choice.as_str().map_or(choice.to_string(), str::to_owned)).collect();
    errors.not_supported(path, Shown(value), &texts.iter().map(String::as_str).collect::<Vec<_>>());
}

fn check_array(items: &[Value], old: Option<&Value>, schema: &Structural, path: &Path, errors: &mut Errors) {
    let checks = &schema.checks;
    if let Some(schema_of_item) = &schema.items {
        for (index, item) in items.iter().enumerate() {
            let old = old.and_then(|old| same_item(item, old, schema));
            check(item, old, schema_of_item, &path.index(index), errors);
        }
    }
    let count = items.len() as i64;
    if let Some(min) = checks.items_min.filter(|min| count < *min) {
        wrong(errors, path, count, &format!("should have at least {min} items"));
    }
    if let Some(max) = checks.items_max.filter(|max| count > *max) {
        errors.too_many(path, items.len(), usize::try_from(max).unwrap_or(0));
    }
    let is_repeated = |(index, item): (usize, &Value)| items.iter().take(index).any(|earlier| earlier == item);
    if checks.has_unique_items && items.iter().enumerate().any(is_repeated) {
        wrong(errors, path, "", "shouldn't contain duplicates");
    }
}

/// What a list held under the keys of an item.
pub(super) fn same_item<'a>(item: &Value, old: &'a Value, schema: &Structural) -> Option<&'a Value> {
    let keys = &schema.list_map_keys;
    let is_same = |old: &&Value| keys.iter().all(|key| old.get(key) == item.get(key));
    if schema.list_type != "map" || keys.is_empty() {
        return None;
    }
    old.as_array()?.iter().find(is_same)
}

fn check_object(
    fields: &Map<String, Value>,
    old: Option<&Value>,
    schema: &Structural,
    path: &Path,
    errors: &mut Errors,
) {
    let checks = &schema.checks;
    let count = fields.len() as i64;
    if let Some(min) = checks.properties_min.filter(|min| count < *min) {
        return wrong(errors, path, count, &format!("should have at least {min} properties"));
    }
    if let Some(max) = checks.properties_max.filter(|max| count > *max) {
        return errors.too_many(path, fields.len(), usize::try_from(max).unwrap_or(0));
    }
    for (name, field) in fields {
        let described = match (schema.properties.get(name), &schema.additional) {
            (Some(schema), _) => Some(schema),
            (None, Additional::Schema(schema)) => Some(&**schema),
            _ => None,
        };
        if let Some(schema) = described {
            check(field, old.and_then(|old| old.get(name)), schema, &path.field(name), errors);
        }
    }
    for name in checks.required.iter().filter(|name| !fields.contains_key(*name)) {
        errors.required(&path.field(name), "");
    }
}

/// `allOf`, `anyOf`, `oneOf` and `not`. What they say about the whole value stands at the root, as upstream has it.
fn check_junctors(value: &Value, schema: &Structural, path: &Path, errors: &mut Errors) {
    let checks = &schema.checks;
    let try_one = |schema: &Structural| {
        let mut errors = Errors::new();
        check(value, None, schema, path, &mut errors);
        errors
    };
    let shown = name(path);
    let mut say = |what: String| errors.invalid(&Path::ROOT, "", format!("\"{shown}\" must {what}"));
    let mut details = Errors::new();
    let any: Vec<Errors> = checks.any_of.iter().map(try_one).collect();
    if !any.is_empty() && !any.iter().any(Errors::is_empty) {
        say("validate at least one schema (anyOf)".to_owned());
        details.append(best(any));
    }
    let one: Vec<Errors> = checks.one_of.iter().map(try_one).collect();
    match one.iter().filter(|errors| errors.is_empty()).count() {
        _ if one.is_empty() => {}
        0 => {
            say("validate one and only one schema (oneOf). Found none valid".to_owned());
            details.append(best(one));
        }
        1 => {}
        count => say(format!("validate one and only one schema (oneOf). Found {count} valid alternatives")),
    }
    let all: Vec<Errors> = checks.all_of.iter().map(try_one).collect();
    let failed = all.iter().filter(|errors| !errors.is_empty()).count();
    if failed > 0 {
        let none = if failed == all.len() { ". None validated" } else { "" };
        say(format!("validate all the schemas (allOf){none}"));
    }
    all.into_iter().for_each(|errors| details.append(errors));
    if checks.not.as_ref().is_some_and(|not| try_one(not).is_empty()) {
        say("not validate the schema (not)".to_owned());
    }
    errors.append(details);
}

/// What the alternative that failed least has to say; the first of several.
fn best(failures: Vec<Errors>) -> Errors {
    failures.into_iter().min_by_key(Errors::len).unwrap_or_default()
}
