//! Which columns of a source are processed, and why the others are not.

use std::collections::{HashMap, HashSet};

use caudal_core::job::SkippedColumn;
use caudal_core::request::MAX_COLUMNS;
use caudal_core::{Error, ErrorKind, Faults, Result};

/// A name less alike than this is no help.
const ALIKE: f64 = 0.7;

/// Column names listed in a message.
const LISTED: usize = 20;

/// A column that a source offers.
pub struct Offered {
    pub name: String,
    pub data_type: String,
    /// Why it cannot be processed; `None` for a numeric column.
    pub unfit: Option<String>,
}

/// Positions of the columns to process, in source order, and what is left out.
pub struct Choice {
    pub positions: Vec<usize>,
    pub skipped: Vec<SkippedColumn>,
}

/// Chooses the named columns, or every numeric one.
///
/// # Errors
/// `InvalidData` for names that are not there (with the nearest one that is), for named columns that
/// are not numeric, for names that stand twice in the source, for too many columns, and when there is nothing to process.
pub fn choose(offered: &[Offered], named: Option<&[String]>) -> Result<Choice> {
    let mut faults = Faults::default();
    let mut names = HashSet::with_capacity(offered.len());
    for (i, column) in offered.iter().enumerate() {
        if !names.insert(column.name.as_str()) {
            faults.push(
                || format!("column {}", i + 1),
                || format!("the name \"{}\" stands twice", column.name),
            );
        }
    }
    let choice = match named {
        Some(names) => choose_named(offered, names, &mut faults),
        None => choose_numeric(offered),
    };
    if choice.positions.is_empty() && faults.is_empty() {
        faults.push(|| "/source".into(), || nothing_numeric(&choice.skipped));
    }
    if choice.positions.len() > MAX_COLUMNS {
        let found = choice.positions.len();
        faults.push(|| "/source".into(), || format!("expected at most {MAX_COLUMNS} columns, found {found}"));
    }
    match faults.is_empty() {
        true => Ok(choice),
        false => Err(Error::from_faults(ErrorKind::InvalidData, faults)),
    }
}

fn choose_numeric(offered: &[Offered]) -> Choice {
    let mut choice = Choice { positions: Vec::new(), skipped: Vec::new() };
    for (i, column) in offered.iter().enumerate() {
        match &column.unfit {
            None => choice.positions.push(i),
            Some(reason) => choice.skipped.push(skip(column, reason.clone())),
        }
    }
    choice
}

fn choose_named(offered: &[Offered], names: &[String], faults: &mut Faults) -> Choice {
    for (i, name) in names.iter().enumerate() {
        let at = || format!("/source/columns/{i}");
        match offered.iter().find(|column| column.name == *name) {
            None => faults.push(at, || {
                let names: Vec<_> = offered.iter().map(|column| column.name.as_str()).collect();
                unknown_column(name, &names)
            }),
            Some(Offered { unfit: Some(reason), data_type, .. }) => {
                faults.push(at, || format!("the column \"{name}\" is {data_type}: {reason}"));
            }
            Some(_) => {}
        }
    }
    let mut choice = Choice { positions: Vec::new(), skipped: Vec::new() };
    let named: HashSet<&str> = names.iter().map(String::as_str).collect();
    for (i, column) in offered.iter().enumerate() {
        match named.contains(column.name.as_str()) {
            true => choice.positions.push(i),
            false => choice.skipped.push(skip(column, "it was not named".into())),
        }
    }
    choice
}

/// Tells where the columns of two files of one source differ: one that is missing, or numeric in one file only. Where
/// columns are named, only those have to agree.
pub fn agree(
    first: (&str, &[Offered]),
    other: (&str, &[Offered]),
    named: Option<&[String]>,
    faults: &mut Faults,
) {
    let ((first_file, first), (file, other)) = (first, other);
    let kind = |column: &Offered| if column.unfit.is_none() { "numbers" } else { "no numbers" };
    let by_name = |columns: &'_ [Offered]| -> HashMap<String, usize> {
        columns.iter().enumerate().map(|(i, column)| (column.name.clone(), i)).collect()
    };
    let wanted = |column: &&Offered| named.is_none_or(|names| names.contains(&column.name));
    let there = by_name(other);
    for column in first.iter().filter(wanted) {
        match there.get(&column.name).map(|i| &other[*i]) {
            None => faults.push(|| file.to_owned(), || missing(&column.name, first_file)),
            Some(found) if found.unfit.is_none() == column.unfit.is_none() => {}
            Some(found) => faults.push(
                || format!("{file}, column {}", column.name),
                || {
                    format!(
                        "it holds {} ({}), and {} ({}) in {first_file}",
                        kind(found),
                        found.data_type,
                        kind(column),
                        column.data_type
                    )
                },
            ),
        }
    }
    let there = by_name(first);
    for column in other.iter().filter(wanted).filter(|column| !there.contains_key(&column.name)) {
        faults.push(|| first_file.to_owned(), || missing(&column.name, file));
    }
}

fn missing(column: &str, file: &str) -> String {
    format!("the column \"{column}\" is missing; {file} has it")
}

fn skip(column: &Offered, reason: String) -> SkippedColumn {
    SkippedColumn { name: column.name.clone(), data_type: column.data_type.clone(), reason }
}

/// Says that there is no such column, which name is most like it, and what there is.
pub fn unknown_column(name: &str, known: &[&str]) -> String {
    let alike = known.iter().map(|known| (strsim::jaro_winkler(name, known), known));
    let nearest = alike.filter(|(s, _)| *s >= ALIKE).max_by(|a, b| a.0.total_cmp(&b.0));
    let guess = nearest.map_or_else(|| "; the".into(), |(_, n)| format!("; did you mean \"{n}\"? The"));
    format!("no column \"{name}\"{guess} columns are {}", listed(known))
}

/// Names in a message.
pub fn listed(names: &[&str]) -> String {
    let listed: Vec<_> = names.iter().take(LISTED).map(|name| format!("\"{name}\"")).collect();
    let more = if names.len() > LISTED { ", …" } else { "" };
    format!("{}{more}", listed.join(", "))
}

fn nothing_numeric(skipped: &[SkippedColumn]) -> String {
    let told: Vec<_> =
        skipped.iter().take(LISTED).map(|c| format!("\"{}\" ({})", c.name, c.data_type)).collect();
    format!("there is no numeric column; the columns are {}", told.join(", "))
}
