//! Calls that are more than calls: their arguments are names and expressions over these names.

use super::{Access, Expr, Fold, FoldKind, Kind, Mistake};

/// A call as a macro, if it is one.
pub(super) fn call(at: usize, function: String, target: Option<Expr>, args: Vec<Expr>) -> Result<Expr, Mistake> {
    match (&target, function.as_str(), args.len()) {
        (None, "has", 1) => has(at, args),
        (Some(target), "bind", 3) if matches!(&target.kind, Kind::Ident(name) if name == "cel") => bind(at, args),
        (Some(_), "optMap" | "optFlatMap", 2) => opt_map(at, function == "optFlatMap", target, args),
        (Some(_), name, count) => match fold_kind(name, count) {
            Some((kind, names, has_filter)) => fold(at, kind, names, has_filter, target, args),
            None => plain(at, function, target, args),
        },
        _ => plain(at, function, target, args),
    }
}

fn plain(at: usize, function: String, target: Option<Expr>, args: Vec<Expr>) -> Result<Expr, Mistake> {
    Expr::new(at, Kind::Call { function, target: target.map(Box::new), args })
}

/// What a comprehension does, how many names it binds, and whether it filters first.
fn fold_kind(name: &str, args: usize) -> Option<(FoldKind, usize, bool)> {
    Some(match (name, args) {
        ("all", 2) => (FoldKind::All, 1, false),
        ("exists", 2) => (FoldKind::Exists, 1, false),
        ("exists_one" | "existsOne", 2) => (FoldKind::ExistsOne, 1, false),
        ("map", 2) => (FoldKind::Map, 1, false),
        ("map", 3) => (FoldKind::Map, 1, true),
        ("sortBy", 2) => (FoldKind::SortBy, 1, false),
        ("filter", 2) => (FoldKind::Filter, 1, false),
        ("all", 3) => (FoldKind::All, 2, false),
        ("exists", 3) => (FoldKind::Exists, 2, false),
        ("exists_one" | "existsOne", 3) => (FoldKind::ExistsOne, 2, false),
        ("transformList", 3) => (FoldKind::Map, 2, false),
        ("transformList", 4) => (FoldKind::Map, 2, true),
        ("transformMap", 3) => (FoldKind::MapValues, 2, false),
        ("transformMap", 4) => (FoldKind::MapValues, 2, true),
        ("transformMapEntry", 3) => (FoldKind::MapEntries, 2, false),
        ("transformMapEntry", 4) => (FoldKind::MapEntries, 2, true),
        _ => return None,
    })
}

fn name_of(arg: Option<Expr>) -> Result<String, Mistake> {
    match arg {
        Some(Expr { kind: Kind::Ident(name), .. }) if !name.starts_with('.') => Ok(name),
        Some(other) => Err(Mistake::new(other.at, "argument must be a simple name")),
        None => Err(Mistake { at: None, message: "argument must be a simple name".to_owned() }),
    }
}

fn fold(
    at: usize,
    kind: FoldKind,
    names: usize,
    has_filter: bool,
    target: Option<Expr>,
    mut args: Vec<Expr>,
) -> Result<Expr, Mistake> {
    let (Some(range), Some(body)) = (target, args.pop()) else { return Err(super::too_high()) };
    let filter = if has_filter { args.pop() } else { None };
    let places: Vec<usize> = args.iter().map(|arg| arg.at).collect();
    let mut args = args.into_iter();
    let names = (0..names).map(|_| name_of(args.next())).collect::<Result<Vec<_>, _>>()?;
    if let ([first, second], Some(at)) = (names.as_slice(), places.get(1))
        && first == second
    {
        return Err(Mistake::new(*at, format!("duplicate variable name: {first}")));
    }
    if let (Some(reserved), Some(at)) = (names.iter().find(|name| *name == "__result__"), places.first()) {
        return Err(Mistake::new(*at, format!("iteration variable overwrites accumulator variable: {reserved}")));
    }
    Expr::new(at, Kind::Fold(Box::new(Fold { kind, range, names, filter, body })))
}

fn has(at: usize, mut args: Vec<Expr>) -> Result<Expr, Mistake> {
    match args.pop() {
        Some(Expr { kind: Kind::Select { operand, field, access: Access::Must }, .. }) => {
            Expr::new(at, Kind::Select { operand, field, access: Access::Has })
        }
        other => Err(Mistake::new(other.map_or(at, |arg| arg.at), "invalid argument to has() macro")),
    }
}

fn bind(at: usize, args: Vec<Expr>) -> Result<Expr, Mistake> {
    let mut args = args.into_iter();
    let name = name_of(args.next()).map_err(|mistake| Mistake {
        message: "cel.bind() variable names must be simple identifiers".to_owned(),
        ..mistake
    })?;
    let (Some(value), Some(body)) = (args.next(), args.next()) else { return Err(super::too_high()) };
    Expr::new(at, Kind::Bind { name, value: Box::new(value), body: Box::new(body) })
}

fn opt_map(at: usize, is_flat: bool, target: Option<Expr>, args: Vec<Expr>) -> Result<Expr, Mistake> {
    let mut args = args.into_iter();
    let function = if is_flat { "optFlatMap" } else { "optMap" };
    let name = name_of(args.next()).map_err(|mistake| {
        let message = format!("{function}() variable name must be a simple identifier");
        Mistake { message, ..mistake }
    })?;
    let (Some(target), Some(body)) = (target, args.next()) else { return Err(super::too_high()) };
    Expr::new(at, Kind::OptMap { target: Box::new(target), name, body: Box::new(body), is_flat })
}
